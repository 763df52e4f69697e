-- Marks messages as published, unless the broker was found to have lost them since they were read.
-- By the index at any size of the table, which a join with the positions is not.
UPDATE {schema}.outbox SET published_at = clock_timestamp()
WHERE position = ANY (%(positions)b::bigint[]) AND losses = %(losses)b AND published_at IS NULL
