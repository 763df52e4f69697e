-- Sagas in quarantine, longest first, with what went wrong and how many messages are held for each.
SELECT saga_id, saga, definition, key, version, quarantined_at, error,
    (SELECT count(*) FROM {schema}.held AS held WHERE held.saga_id = saga.saga_id)
FROM {schema}.sagas AS saga
WHERE quarantined_at IS NOT NULL AND (%(saga_id)b::uuid IS NULL OR saga_id = %(saga_id)b::uuid)
ORDER BY quarantined_at, saga_id
LIMIT %(limit)b
