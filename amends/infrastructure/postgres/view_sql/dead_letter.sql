-- One dead letter, with all that is known of it.
SELECT
    message_id, at, stage, reason, subject, consumer, sequence, received, saga, saga_id, headers, body, size
FROM {views}.dead_letters
WHERE message_id = %(message_id)s
