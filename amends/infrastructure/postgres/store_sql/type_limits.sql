-- How the limits of saga types stand.
SELECT
    saga, at_once,
    (
        SELECT count(*) FROM {schema}.slots AS slot LEFT JOIN {schema}.sagas AS running USING (saga_id)
        WHERE slot.saga = limits.saga AND (
            slot.until > statement_timestamp()
            OR (running.status IN ('running', 'compensating') AND running.quarantined_at IS NULL)
        )
    ),
    (SELECT count(*) FROM {schema}.held WHERE held.saga = limits.saga AND why = 'limit')
FROM {schema}.type_limits AS limits
WHERE seen_at >= statement_timestamp() - %(in_force)s::interval
ORDER BY saga
