-- Writes the rows of a batch, in the order of saga ids; answers those that were as expected. The others have lost to
-- another worker, or are in quarantine. A changed row ends the lease on its timer.
INSERT INTO {schema}.sagas AS saga (saga_id, saga, definition, key, status, version, expected, wake_up)
SELECT saga_id, saga, definition, key, status, version, expected, wake_up
FROM unnest(
    %(ids)b::uuid[], %(sagas)b::text[], %(definitions)b::integer[], %(keys)b::text[], %(statuses)b::text[],
    %(versions)b::bigint[], %(expected)b::bigint[], %(wake_ups)b::timestamptz[]
) AS new (saga_id, saga, definition, key, status, version, expected, wake_up)
ORDER BY saga_id
ON CONFLICT (saga_id) DO UPDATE
SET saga = excluded.saga, definition = excluded.definition, key = excluded.key, status = excluded.status,
    version = excluded.version, expected = excluded.expected, wake_up = excluded.wake_up, taken_until = NULL
WHERE saga.version = excluded.expected AND saga.quarantined_at IS NULL
RETURNING saga_id
