-- A job, with how many of its items are done, refused and left.
SELECT action, chosen_by, created_at,
    (SELECT count(*) FROM {schema}.job_items AS item WHERE item.job = job.job AND result = 'done'),
    (SELECT count(*) FROM {schema}.job_items AS item WHERE item.job = job.job AND result = 'refused'),
    (SELECT count(*) FROM {schema}.job_items AS item WHERE item.job = job.job AND result IS NULL)
FROM {schema}.jobs AS job
WHERE job = %(job)s::text
