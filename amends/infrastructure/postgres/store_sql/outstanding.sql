-- Sagas that are not final, in the order of ids.
SELECT saga_id FROM {schema}.sagas
WHERE status IN ('running', 'compensating') -- so literally, for the partial index to be used
    AND saga = ANY (%(sagas)b::text[])
    AND (%(after)b::uuid IS NULL OR saga_id > %(after)b::uuid)
ORDER BY saga_id
LIMIT %(limit)b
