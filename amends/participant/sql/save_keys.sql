-- Writes what a batch made of its keys. Their rows are there, and locked: as an insertion that finds them it goes by the
-- index, whatever the table's size was when it was planned. An UPDATE that joins them, planned while the table was
-- small, reads all of it for every batch until somebody analyses it.
INSERT INTO {schema}.keys (forward_key, action, opened_at, outcome, answer, compensated, compensation_answer)
SELECT forward_key, action, now(), outcome, answer, compensation_answer IS NOT NULL, compensation_answer
FROM unnest(%(keys)b::text[], %(actions)b::text[], %(outcomes)b::text[], %(answers)b::bytea[], %(undone)b::bytea[])
    AS new (forward_key, action, outcome, answer, compensation_answer)
ON CONFLICT (forward_key) DO UPDATE
SET outcome = excluded.outcome,
    answer = excluded.answer,
    compensated = excluded.compensated,
    compensation_answer = excluded.compensation_answer,
    touched_at = clock_timestamp()
