-- The message of a dead letter, as it came.
SELECT message_id, subject, headers, body FROM {schema}.dead_letters WHERE message_id = %(message_id)s
