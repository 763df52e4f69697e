-- Held messages that can be handled now, oldest first: those whose version is held and whose saga is not in quarantine;
-- and early ones whose saga is there, or which have waited long enough.
SELECT subject, headers, body, received, sequence, consumer, message_id, saga_id, saga, definition, why, error,
    key_name, key_value, until
FROM {schema}.held AS held
WHERE CASE why
        WHEN 'early' THEN saga = ANY (%(sagas)b::text[]) AND (
            until <= statement_timestamp()
            OR EXISTS (SELECT FROM {schema}.events WHERE originator_id = held.saga_id)
            OR EXISTS (
                SELECT FROM {schema}.learnt_keys AS learnt
                WHERE learnt.saga = held.saga AND learnt.name = key_name AND learnt.value = key_value
            )
        )
        ELSE (saga, definition) IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
    END
    AND NOT EXISTS (
        SELECT FROM {schema}.sagas AS saga
        WHERE saga.saga_id = held.saga_id AND saga.quarantined_at IS NOT NULL
    )
ORDER BY seq
LIMIT %(limit)b
