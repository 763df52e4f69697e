-- Held messages that can be handled now, oldest first: those whose saga is of a version that is held (one that has no
-- events begins under any), not in quarantine, and without events that cannot be read here; and early ones whose saga is there, or which have waited long enough. Starts that wait for
-- a slot are opened elsewhere.
SELECT subject, headers, body, received, sequence, consumer, message_id, held.saga_id, held.saga, held.definition, why,
    held.error, key_name, key_value, until
FROM {schema}.held AS held
LEFT JOIN {schema}.sagas AS known ON known.saga_id = held.saga_id
WHERE CASE why
        WHEN 'early' THEN held.saga = ANY (%(sagas)b::text[]) AND (
            until <= statement_timestamp()
            OR EXISTS (SELECT FROM {schema}.events WHERE originator_id = held.saga_id)
            OR EXISTS (
                SELECT FROM {schema}.learnt_keys AS learnt
                WHERE learnt.saga = held.saga AND learnt.name = key_name AND learnt.value = key_value
            )
        )
        ELSE (held.saga, COALESCE(known.definition, held.definition))
                IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
            OR (known.version = 0 AND held.saga = ANY (%(sagas)b::text[]))
    END
    AND why <> 'limit'
    AND known.quarantined_at IS NULL
    AND (known.unreadable IS NULL OR known.unreadable <@ %(topics)b::text[])
ORDER BY seq
LIMIT %(limit)b
