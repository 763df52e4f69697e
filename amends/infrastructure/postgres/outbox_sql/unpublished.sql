-- Committed messages that nobody has marked as published, oldest first.
SELECT position, message_id, subject, headers, body, losses
FROM {schema}.outbox
WHERE published_at IS NULL AND position > %(after)s
    AND recorded_at <= clock_timestamp() - %(grace)s::interval
ORDER BY position
LIMIT %(limit)s
