-- A page of sagas, latest start first.
SELECT
    saga_id, saga, definition, key, status, version, started, updated, ended, reason, suspended, contradictions,
    attempts, current_steps, remaining_steps, waiting_since, next_due, last_error, quarantined_at, behind
FROM {views}.sagas
WHERE (%(saga)s::text IS NULL OR saga = %(saga)s::text)
    AND (%(definition)s::integer IS NULL OR definition = %(definition)s::integer)
    AND (%(status)s::text IS NULL OR status = %(status)s::text)
    AND (%(key)s::text IS NULL OR key = %(key)s::text)
    AND (%(older_than)s::interval IS NULL OR started <= statement_timestamp() - %(older_than)s::interval)
    AND (
        %(after_started)s::timestamptz IS NULL
        OR (started, saga_id) < (%(after_started)s::timestamptz, %(after_saga_id)s::uuid)
    )
ORDER BY started DESC, saga_id DESC
LIMIT %(limit)s
