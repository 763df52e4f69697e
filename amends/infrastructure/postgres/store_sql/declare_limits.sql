-- A worker has these limits. One that starts replaces what others told; else only what nobody tells any more.
INSERT INTO {schema}.participant_limits AS known (participant, rules)
SELECT participant, rules
FROM unnest(%(participants)s::text[], %(rules)s::jsonb[]) AS told (participant, rules)
ORDER BY participant
ON CONFLICT (participant) DO UPDATE SET rules = excluded.rules, seen_at = clock_timestamp()
WHERE %(anew)s OR known.rules = excluded.rules OR known.seen_at < clock_timestamp() - %(in_force)s::interval
