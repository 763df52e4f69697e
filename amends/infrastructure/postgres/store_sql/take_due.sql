-- Takes the sagas that are due, longest overdue first; those that another worker is writing or taking are passed over,
-- and those whose held messages must be handled before their timers. Those whose wake-up moved away are looked at again
-- when it comes.
WITH moved AS MATERIALIZED (
    SELECT saga_id FROM {schema}.sagas
    WHERE look_at <= statement_timestamp() AND wake_up > statement_timestamp() AND quarantined_at IS NULL
    FOR UPDATE SKIP LOCKED
),
put_off AS (
    UPDATE {schema}.sagas AS saga SET look_at = wake_up FROM moved WHERE saga.saga_id = moved.saga_id
),
due AS MATERIALIZED ( -- joined as a subquery, it might run, and lock up to its limit, more than once
    SELECT saga_id FROM {schema}.sagas AS saga
    WHERE look_at <= statement_timestamp()
        AND wake_up <= statement_timestamp()
        AND (%(until)b::timestamptz IS NULL OR wake_up < %(until)b::timestamptz)
        AND quarantined_at IS NULL
        AND (unreadable IS NULL OR unreadable <@ %(topics)b::text[])
        AND (taken_until IS NULL OR taken_until <= statement_timestamp())
        AND (saga, definition) IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
        AND NOT EXISTS (SELECT FROM {schema}.held WHERE held.saga_id = saga.saga_id)
    ORDER BY look_at, saga_id
    LIMIT %(limit)b
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.sagas AS saga SET taken_until = statement_timestamp() + %(lease)b::interval
FROM due
WHERE saga.saga_id = due.saga_id
RETURNING saga.wake_up, saga.saga_id
