-- Ends the quarantine of all sagas of these versions, and of all that failed before their first event: a start begins
-- under any version.
UPDATE {schema}.sagas SET quarantined_at = NULL, error = NULL
WHERE quarantined_at IS NOT NULL
    AND (
        (saga, definition) IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
        OR (version = 0 AND saga = ANY (%(sagas)b::text[]))
    )
RETURNING saga_id
