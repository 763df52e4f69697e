-- Items of a job, in their order, from a place on; with `open` only those that are still to be done.
SELECT place, saga_id, COALESCE(result, ''), reason FROM {schema}.job_items
WHERE job = %(job)s::text AND place > %(after)s AND (NOT %(open)s::boolean OR result IS NULL)
ORDER BY place
LIMIT %(limit)s
