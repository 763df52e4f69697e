-- Records what became of an item.
UPDATE {schema}.job_items SET result = %(result)s::text, reason = %(reason)s::text, at = clock_timestamp()
WHERE job = %(job)s::text AND place = %(place)s AND result IS NULL
