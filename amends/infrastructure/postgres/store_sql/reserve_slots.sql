-- Reserves slots for new sagas, behind those that wait already; answers for each whether it may start, and whether no
-- other of its type may.
WITH wanted AS (
    SELECT saga_id, saga, place
    FROM unnest(%(saga_ids)b::uuid[], %(sagas)b::text[]) WITH ORDINALITY AS start (saga_id, saga, place)
),
needed AS (
    SELECT saga_id, saga, row_number() OVER (PARTITION BY saga ORDER BY place) AS place
    FROM wanted
    WHERE NOT EXISTS (SELECT FROM {schema}.taken_slots AS taken WHERE taken.saga_id = wanted.saga_id)
        AND NOT EXISTS (SELECT FROM {schema}.sagas AS known WHERE known.saga_id = wanted.saga_id AND version > 0)
),
room AS (
    SELECT
        saga,
        at_once
            - (SELECT count(*) FROM {schema}.taken_slots AS taken WHERE taken.saga = limits.saga)
            - (SELECT count(*) FROM {schema}.held WHERE held.saga = limits.saga AND why = 'limit') AS free
    FROM {schema}.type_limits AS limits
    WHERE saga = ANY (%(sagas)b::text[])
),
reserved AS (
    INSERT INTO {schema}.slots (saga_id, saga, until)
    SELECT saga_id, saga, statement_timestamp() + %(lease)b::interval
    FROM needed JOIN room USING (saga)
    WHERE place <= free
    ORDER BY saga_id
    ON CONFLICT (saga_id) DO UPDATE SET until = excluded.until
    RETURNING saga_id
)
SELECT
    wanted.saga_id, saga,
    wanted.saga_id NOT IN (SELECT saga_id FROM needed) OR wanted.saga_id IN (SELECT saga_id FROM reserved),
    free <= (SELECT count(*) FROM needed WHERE needed.saga = wanted.saga)
FROM wanted JOIN room USING (saga)
