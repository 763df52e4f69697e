-- Keeps messages that could not be handled; one that was delivered and refused before stays as it is.
INSERT INTO {schema}.dead_letters (message_id, subject, headers, body, received, sequence, consumer, stage, reason)
SELECT message_id, subject, headers, body, received, sequence, consumer, stage, reason
FROM unnest(
    %(ids)b::text[], %(subjects)b::text[], %(headers)b::text[], %(bodies)b::bytea[], %(received)b::timestamptz[],
    %(sequences)b::bigint[], %(consumers)b::text[], %(stages)b::text[], %(reasons)b::text[]
) AS letter (message_id, subject, headers, body, received, sequence, consumer, stage, reason)
ON CONFLICT (message_id) DO NOTHING
