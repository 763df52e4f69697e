-- Rows of sagas, by any of type, key and id.
SELECT saga_id, saga, definition, key, status, version, expected, wake_up
FROM {schema}.sagas
WHERE (%(saga)b::text IS NULL OR saga = %(saga)b::text)
    AND (%(key)b::text IS NULL OR key = %(key)b::text)
    AND (%(saga_id)b::uuid IS NULL OR saga_id = %(saga_id)b::uuid)
ORDER BY saga, key, saga_id
LIMIT %(limit)b
