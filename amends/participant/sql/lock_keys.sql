-- Locks the rows of a batch's keys, in the same order for every replica.
SELECT forward_key, action, outcome, answer, compensated, compensation_answer
FROM {schema}.keys
WHERE forward_key = ANY (%(keys)b::text[])
ORDER BY forward_key
FOR UPDATE
