-- The same for saga types.
INSERT INTO {schema}.type_limits AS known (saga, at_once)
SELECT saga, at_once
FROM unnest(%(sagas)s::text[], %(at_once)s::integer[]) AS told (saga, at_once)
ORDER BY saga
ON CONFLICT (saga) DO UPDATE SET at_once = excluded.at_once, seen_at = clock_timestamp()
WHERE %(anew)s OR known.at_once = excluded.at_once OR known.seen_at < clock_timestamp() - %(in_force)s::interval
