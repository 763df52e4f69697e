-- Sagas that have a history, by any of type, version, key and status, in the order of ids: to go through all of them
-- a page at a time.
SELECT saga_id, saga, definition, key, status, version, expected, wake_up
FROM {schema}.sagas
WHERE (%(after)b::uuid IS NULL OR saga_id > %(after)b::uuid)
    AND (%(saga)b::text IS NULL OR saga = %(saga)b::text)
    AND (%(definition)b::integer IS NULL OR definition = %(definition)b::integer)
    AND (%(key)b::text IS NULL OR key = %(key)b::text)
    AND (%(status)b::text IS NULL OR status = %(status)b::text)
    AND version > 0
ORDER BY saga_id
LIMIT %(limit)b
