-- A page of dead letters, latest first.
SELECT message_id, at, stage, reason, subject, consumer, saga, saga_id, size
FROM {views}.dead_letters
WHERE (%(saga)s::text IS NULL OR saga = %(saga)s::text)
    AND (%(subject)s::text IS NULL OR subject = %(subject)s::text)
    AND (%(older_than)s::interval IS NULL OR at <= statement_timestamp() - %(older_than)s::interval)
    AND (
        %(after_at)s::timestamptz IS NULL
        OR (at, message_id) < (%(after_at)s::timestamptz, %(after_message_id)s::text)
    )
ORDER BY at DESC, message_id DESC
LIMIT %(limit)s
