-- Participants and saga types that have, or had, limits, and whether a worker told so of late.
SELECT 'participant', participant, seen_at >= clock_timestamp() - %(in_force)s::interval FROM {schema}.participant_limits
UNION ALL
SELECT 'type', saga, seen_at >= clock_timestamp() - %(in_force)s::interval FROM {schema}.type_limits
UNION ALL
SELECT DISTINCT 'waiting', saga, true FROM {schema}.held WHERE why = 'limit'
