-- Inserts the rows of keys not known yet, in the order in which every replica takes them, so that none waits
-- in a circle. Left out are those opened before the horizon: they may have been known once.
INSERT INTO {schema}.keys (forward_key, action, opened_at)
SELECT forward_key, action, opened_at
FROM unnest(%(keys)b::text[], %(actions)b::text[], %(opened)b::timestamptz[])
    AS command (forward_key, action, opened_at)
WHERE opened_at >= clock_timestamp() - %(horizon)s::interval
ORDER BY forward_key
ON CONFLICT (forward_key) DO NOTHING
RETURNING forward_key, action, clock_timestamp()
