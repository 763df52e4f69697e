-- Marks messages as published.
UPDATE {schema}.outbox SET published_at = clock_timestamp()
WHERE position = ANY (%(positions)b::bigint[]) AND published_at IS NULL
