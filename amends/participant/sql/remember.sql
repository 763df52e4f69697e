-- Keeps answers that hold for one command id or one compensation key.
INSERT INTO {schema}.remembered (kind, id, forward_key, body)
SELECT * FROM unnest(%(kinds)b::text[], %(ids)b::text[], %(keys)b::text[], %(bodies)b::bytea[])
ON CONFLICT DO NOTHING
