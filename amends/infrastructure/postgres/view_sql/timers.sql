-- A page of timers, those first that fall due first.
SELECT
    saga_id, saga, definition, key, kind, step, direction, coalesce(name, '') AS name, since, due, suspended, behind
FROM {views}.timers
WHERE (%(saga)s::text IS NULL OR saga = %(saga)s::text)
    AND (%(definition)s::integer IS NULL OR definition = %(definition)s::integer)
    AND (
        %(after_due)s::timestamptz IS NULL
        OR (due, saga_id, kind, coalesce(step, ''), coalesce(name, '')) > (
            %(after_due)s::timestamptz, %(after_saga_id)s::uuid, %(after_kind)s::text, %(after_step)s::text,
            %(after_name)s::text
        )
    )
ORDER BY due, saga_id, kind, coalesce(step, ''), coalesce(name, '')
LIMIT %(limit)s
