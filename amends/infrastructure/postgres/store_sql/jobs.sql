-- The latest jobs, newest first, or the one of this name: each with how many of its items are done, refused and left, and
-- when the last was done.
SELECT job, action, chosen_by, created_at, counted.*
FROM {schema}.jobs AS job, LATERAL (
    SELECT count(*) FILTER (WHERE result = 'done'), count(*) FILTER (WHERE result = 'refused'),
        count(*) FILTER (WHERE result IS NULL), max(at)
    FROM {schema}.job_items AS item WHERE item.job = job.job
) AS counted
WHERE %(job)s::text IS NULL OR job = %(job)s::text
ORDER BY created_at DESC, job
LIMIT %(limit)s
