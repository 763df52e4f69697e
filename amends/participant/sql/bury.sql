-- Keeps messages that could not be handled; one delivered again is kept once.
INSERT INTO {schema}.dead_letters (id, reason, subject, headers, body, received_at)
SELECT *
FROM unnest(
    %(ids)b::text[], %(reasons)b::text[], %(subjects)b::text[], %(headers)b::text[], %(bodies)b::bytea[],
    %(received)b::timestamptz[]
)
ON CONFLICT DO NOTHING
