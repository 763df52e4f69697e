-- Marks messages as published, unless the broker was found to have lost them since they were read.
UPDATE {schema}.outbox SET published_at = clock_timestamp()
FROM unnest(%(positions)b::bigint[], %(losses)b::integer[]) AS sent (position, losses)
WHERE outbox.position = sent.position AND outbox.losses = sent.losses AND published_at IS NULL
