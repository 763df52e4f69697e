-- Puts sagas into quarantine; one that failed before its first event gets a row of version 0.
INSERT INTO {schema}.sagas AS saga
    (saga_id, saga, definition, key, status, version, expected, quarantined_at, error)
SELECT saga_id, saga, definition, '', '', 0, 0, statement_timestamp(), error
FROM unnest(%(ids)b::uuid[], %(sagas)b::text[], %(definitions)b::integer[], %(errors)b::text[])
    AS failed (saga_id, saga, definition, error)
ORDER BY saga_id
ON CONFLICT (saga_id) DO UPDATE
SET quarantined_at = excluded.quarantined_at, error = excluded.error, taken_until = NULL
