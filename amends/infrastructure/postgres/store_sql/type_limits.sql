-- How the limits of saga types stand.
SELECT
    saga, at_once,
    (SELECT count(*) FROM {schema}.taken_slots AS taken WHERE taken.saga = limits.saga),
    (SELECT count(*) FROM {schema}.held WHERE held.saga = limits.saga AND why = 'limit')
FROM {schema}.type_limits AS limits
WHERE seen_at >= statement_timestamp() - %(in_force)s::interval
ORDER BY saga
