-- Held messages that can be handled now, oldest first.
SELECT subject, headers, body, received, sequence, consumer, message_id, saga_id, saga, definition, why, error
FROM {schema}.held AS held
WHERE (saga, definition) IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
    AND NOT EXISTS (
        SELECT FROM {schema}.sagas AS saga
        WHERE saga.saga_id = held.saga_id AND saga.quarantined_at IS NOT NULL
    )
ORDER BY seq
LIMIT %(limit)b
