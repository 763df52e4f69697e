-- Reserves slots for starts that wait, oldest first; those whose saga runs by now need none. What another worker has
-- reserved a slot for is left to it.
WITH waiting AS (
    SELECT held.*, coalesce(known.version > 0, false) AS runs
    FROM {schema}.held AS held LEFT JOIN {schema}.sagas AS known USING (saga_id)
    WHERE held.saga = %(saga)b::text
        AND why = 'limit'
        AND known.quarantined_at IS NULL
        AND NOT EXISTS (
            SELECT FROM {schema}.slots WHERE slots.saga_id = held.saga_id AND slots.until > statement_timestamp()
        )
),
chosen AS (
    (SELECT * FROM waiting WHERE runs LIMIT %(limit)b)
    UNION ALL
    (SELECT * FROM waiting WHERE NOT runs ORDER BY seq LIMIT %(room)b)
),
reserved AS (
    INSERT INTO {schema}.slots (saga_id, saga, until)
    SELECT DISTINCT saga_id, saga, statement_timestamp() + %(lease)b::interval FROM chosen WHERE NOT runs
    ON CONFLICT (saga_id) DO UPDATE SET until = excluded.until
)
SELECT subject, headers, body, received, sequence, consumer, runs, (SELECT count(*) FROM waiting)
FROM chosen
ORDER BY seq
