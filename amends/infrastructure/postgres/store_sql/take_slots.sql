-- Sagas that run, or go on, have slots.
INSERT INTO {schema}.slots (saga_id, saga)
SELECT saga_id, saga FROM unnest(%(saga_ids)b::uuid[], %(sagas)b::text[]) AS running (saga_id, saga)
ORDER BY saga_id
ON CONFLICT (saga_id) DO UPDATE SET until = NULL
