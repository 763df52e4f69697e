-- Messages that were committed long enough ago and are not known to be published, oldest first.
SELECT message_id, subject, headers, body, deduplication_id
FROM {schema}.outbox
WHERE created_at <= clock_timestamp() - %(older_than)b::interval
ORDER BY seq
LIMIT %(limit)b
