-- Records messages to publish, in the caller's transaction; answers their positions in the given order.
INSERT INTO {schema}.outbox (message_id, subject, headers, body)
SELECT message_id, subject, headers, body
FROM unnest(%(ids)b::text[], %(subjects)b::text[], %(headers)b::text[], %(bodies)b::bytea[])
    WITH ORDINALITY AS message (message_id, subject, headers, body, place)
ORDER BY place
RETURNING position
