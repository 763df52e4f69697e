-- Writes what a batch made of its keys.
UPDATE {schema}.keys
SET outcome = new.outcome,
    answer = new.answer,
    compensated = new.compensation_answer IS NOT NULL,
    compensation_answer = new.compensation_answer,
    touched_at = clock_timestamp()
FROM unnest(%(keys)b::text[], %(outcomes)b::text[], %(answers)b::bytea[], %(undone)b::bytea[])
    AS new (forward_key, outcome, answer, compensation_answer)
WHERE keys.forward_key = new.forward_key
