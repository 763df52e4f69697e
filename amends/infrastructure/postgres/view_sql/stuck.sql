-- A page of unfinished sagas, those first that have stood longest.
SELECT
    saga_id, saga, definition, key, status, version, reason, since, step, direction, detail, help, behind
FROM {views}.unfinished
WHERE (%(saga)s::text IS NULL OR saga = %(saga)s::text)
    AND (%(definition)s::integer IS NULL OR definition = %(definition)s::integer)
    AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
    AND (%(older_than)s::interval IS NULL OR since <= statement_timestamp() - %(older_than)s::interval)
    AND (
        %(after_since)s::timestamptz IS NULL
        OR (since, saga_id) > (%(after_since)s::timestamptz, %(after_saga_id)s::uuid)
    )
ORDER BY since, saga_id
LIMIT %(limit)s
