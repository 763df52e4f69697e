-- A page of messages that could not be handled, in the order of their ids.
SELECT message_id, subject, headers, body, received, sequence, consumer, stage, reason
FROM {schema}.dead_letters
WHERE message_id > %(after)b::text
ORDER BY message_id
LIMIT %(limit)b
