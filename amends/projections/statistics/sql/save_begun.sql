-- Keeps where the fold of these sagas stands.
INSERT INTO {copy}.begun (saga_id, state)
SELECT saga_id, state FROM unnest(%(ids)b::text[]::uuid[], %(states)b::text[]) AS new (saga_id, state)
ORDER BY saga_id
ON CONFLICT (saga_id) DO UPDATE SET state = excluded.state
