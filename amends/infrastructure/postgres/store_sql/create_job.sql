-- Makes a job with its items; answers whether there was none of this name.
WITH made AS (
    INSERT INTO {schema}.jobs (job, action, chosen_by)
    VALUES (%(job)s::text, %(action)s::jsonb, %(chosen_by)s::jsonb)
    ON CONFLICT (job) DO NOTHING
    RETURNING job
),
items AS (
    INSERT INTO {schema}.job_items (job, place, saga_id)
    SELECT job, place, saga_id FROM made, unnest(%(saga_ids)s::uuid[]) WITH ORDINALITY AS item (saga_id, place)
)
SELECT count(*) FROM made
