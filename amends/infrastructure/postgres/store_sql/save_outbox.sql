-- Records messages to publish. One that still waits to be published stays as it is.
INSERT INTO {schema}.outbox (message_id, deduplication_id, saga_id, subject, headers, body)
SELECT message_id, deduplication_id, saga_id, subject, headers, body
FROM unnest(
    %(ids)b::text[], %(deduplication_ids)b::text[], %(sagas)b::uuid[], %(subjects)b::text[], %(headers)b::text[],
    %(bodies)b::bytea[]
) WITH ORDINALITY AS message (message_id, deduplication_id, saga_id, subject, headers, body, place)
ORDER BY place
ON CONFLICT (message_id) DO NOTHING
