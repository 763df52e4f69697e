-- What readers see of where the sagas stand. The names and columns are a contract: columns are added at the end only.

CREATE OR REPLACE VIEW {views}.sagas AS
SELECT
    saga.saga_id, saga.saga, saga.definition, saga.key, saga.status, saga.version, saga.started, saga.updated,
    saga.ended, saga.ended - saga.started AS duration, saga.deadline, saga.deadline_passed, saga.reason,
    saga.suspended, saga.cancelled, saga.contradictions, saga.attempts, saga.done_steps, saga.current_steps,
    CASE saga.status
        WHEN 'running' THEN ARRAY(
            SELECT step ->> 'name'
            FROM {schema}.definitions AS known, jsonb_array_elements(known.shape -> 'steps') WITH ORDINALITY
                AS steps (step, place)
            WHERE known.saga = saga.saga AND known.version = saga.definition
                AND step ->> 'name' <> ALL (saga.done_steps) AND step ->> 'name' <> ALL (saga.current_steps)
            ORDER BY place
        )
        WHEN 'compensating' THEN ARRAY(
            SELECT step FROM unnest(saga.left_to_undo) AS step WHERE step <> ALL (saga.current_steps)
        )
        ELSE '{}'
    END AS remaining_steps,
    saga.undone_steps, saga.waits, saga.stuck_since AS waiting_since, saga.next_due, saga.last_error,
    saga.last_error_at, stored.quarantined_at, stored.error AS quarantine_error, saga.started_by, saga.trace,
    progress.behind
FROM {copy}.sagas AS saga
LEFT JOIN {schema}.sagas AS stored ON stored.saga_id = saga.saga_id
CROSS JOIN (SELECT behind FROM {views}.projections WHERE projection = 'sagas' AND state = 'live') AS progress;

-- Every timer that is set: what will wake which saga, and when.
CREATE OR REPLACE VIEW {views}.timers AS
SELECT
    saga.saga_id, saga.saga, saga.definition, saga.key, timer.kind, timer.step, timer.direction, timer.name,
    timer.since, timer.due, statement_timestamp() - timer.due AS overdue, saga.suspended, progress.behind
FROM {copy}.sagas AS saga
CROSS JOIN LATERAL (
    SELECT
        CASE wait ->> 'for' WHEN 'reply' THEN 'attempt' WHEN 'event' THEN 'wait' ELSE wait ->> 'for' END AS kind,
        wait ->> 'step' AS step, wait ->> 'direction' AS direction, wait ->> 'subject' AS name,
        (wait ->> 'since')::timestamptz AS since, (wait ->> 'due')::timestamptz AS due
    FROM jsonb_array_elements(saga.waits) AS waits (wait)
    WHERE wait ? 'due'
    UNION ALL
    SELECT 'deadline', '', '', '', saga.started, saga.deadline
    WHERE saga.status = 'running' AND saga.deadline IS NOT NULL AND saga.deadline_passed IS NULL
) AS timer
CROSS JOIN (SELECT behind FROM {views}.projections WHERE projection = 'sagas' AND state = 'live') AS progress
WHERE saga.stuck <> '';

-- Every saga that has not ended or is in quarantine, with the one reason why. What is in no history comes from the
-- store: quarantine, messages held for a version that nobody holds, messages that the broker has not taken.
CREATE OR REPLACE VIEW {views}.unfinished AS
WITH progress AS (
    SELECT behind, behind_since FROM {views}.projections WHERE projection = 'sagas' AND state = 'live'
),
held AS (
    SELECT saga_id, min(at) AS since FROM {schema}.held WHERE why = 'version' GROUP BY saga_id
),
staff AS (
    SELECT saga, definition, max(seen_at) AS seen_at FROM {schema}.workers GROUP BY saga, definition
),
unsent AS (
    SELECT saga_id, min(created_at) AS since FROM {schema}.outbox
    WHERE created_at < statement_timestamp() - interval '10 seconds'
    GROUP BY saga_id
),
known AS (
    SELECT
        stored.saga_id, stored.saga, stored.definition, stored.key, stored.status, stored.version, stored.error,
        stored.quarantined_at, shown.stuck, shown.stuck_since, coalesce(shown.stuck_step, '') AS step,
        coalesce(shown.stuck_direction, '') AS direction, coalesce(shown.last_error, '') AS last_error,
        coalesce(shown.suspended, '') AS suspended, progress.behind,
        shown.waits @> jsonb_build_array(jsonb_build_object('for', 'event', 'step', shown.stuck_step)) AS for_event,
        CASE
            WHEN shown.version = stored.version OR progress.behind_since IS NULL THEN NULL
            WHEN progress.behind_since < statement_timestamp() - interval '10 seconds' THEN progress.behind_since
        END AS not_shown,
        stored.unreadable,
        least(
            held.since,
            CASE
                WHEN stored.unreadable IS NOT NULL AND NOT EXISTS (
                    SELECT FROM {schema}.workers AS worker
                    WHERE worker.saga = stored.saga AND worker.definition = stored.definition
                        AND stored.unreadable <@ worker.topics
                        AND worker.seen_at > statement_timestamp() - interval '30 seconds'
                ) THEN shown.updated
                WHEN staff.seen_at IS NULL THEN shown.updated
                WHEN staff.seen_at < statement_timestamp() - interval '30 seconds' THEN staff.seen_at
            END
        ) AS unattended,
        unsent.since AS unsent
    FROM {schema}.sagas AS stored
    LEFT JOIN {copy}.sagas AS shown ON shown.saga_id = stored.saga_id
    LEFT JOIN held ON held.saga_id = stored.saga_id
    LEFT JOIN staff ON staff.saga = stored.saga AND staff.definition = stored.definition
    LEFT JOIN unsent ON unsent.saga_id = stored.saga_id
    CROSS JOIN progress
    WHERE stored.status IN ('running', 'compensating') OR stored.quarantined_at IS NOT NULL
),
reasoned AS (
    SELECT known.*, reason, since
    FROM known, LATERAL (
        SELECT *
        FROM (VALUES
            (1, 'quarantined', quarantined_at),
            (2, 'projection behind', not_shown),
            (3, stuck, CASE WHEN stuck IN ('suspended', 'quarantined') THEN stuck_since END),
            (4, 'no worker for its version', unattended),
            (5, 'broker gap', unsent),
            (6, nullif(stuck, ''), stuck_since)
        ) AS reasons (place, reason, since)
        WHERE since IS NOT NULL AND reason IS NOT NULL
        ORDER BY place
        LIMIT 1
    ) AS first
)
SELECT
    saga_id, saga, definition, key, status, version, reason, since, step, direction,
    CASE reason
        WHEN 'quarantined' THEN coalesce(error, last_error)
        WHEN 'suspended' THEN suspended
        WHEN 'no worker for its version' THEN CASE
            WHEN unreadable IS NULL THEN last_error
            ELSE format('its history has %s, which only a newer program can read', array_to_string(unreadable, ', '))
        END
        ELSE last_error
    END AS detail,
    CASE reason
        WHEN 'quarantined' THEN format('amends release %s --reason "mended"', saga_id)
        WHEN 'suspended' THEN format('amends resume %s --reason "it is over"', saga_id)
        WHEN 'projection behind' THEN 'amends projections run'
        WHEN 'no worker for its version' THEN format('amends worker MODULE  # one that holds %s@%s', saga, definition)
        WHEN 'broker gap' THEN format('amends worker MODULE  # one that holds %s@%s', saga, definition)
        WHEN 'waiting for a person or event' THEN CASE step
            WHEN '' THEN format('amends cancel %s --reason "nothing comes"', saga_id)
            ELSE format('amends skip %s %s --reason "nothing comes"', saga_id, step)
        END
        WHEN 'parked step' THEN CASE
            WHEN for_event THEN format('amends skip %s %s --reason "nothing comes"', saga_id, step)
            ELSE format('amends retry %s %s --reason "try again"', saga_id, step)
        END
        WHEN 'limits' THEN 'amends limits'
        ELSE format('amends retry %s %s --reason "try again"', saga_id, step)
    END AS help,
    behind
FROM reasoned;

-- The thousand that have stood longest.
CREATE OR REPLACE VIEW {views}.stuck AS
SELECT * FROM {views}.unfinished ORDER BY since, saga_id LIMIT 1000;
