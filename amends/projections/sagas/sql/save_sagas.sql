-- Writes the rows of a batch's sagas; times come as text, names of steps with unit separators between.
INSERT INTO {copy}.sagas
    (saga_id, saga, definition, key, status, version, started, updated, ended, deadline, deadline_passed, reason,
    suspended, cancelled, contradictions, attempts, last_error, last_error_at, done_steps, current_steps,
    undone_steps, left_to_undo, waits, next_due, stuck, stuck_since, stuck_step, stuck_direction, started_by, trace,
    state)
SELECT
    saga_id, saga, definition, key, status, version, started::timestamptz, updated::timestamptz, ended::timestamptz,
    deadline::timestamptz, deadline_passed::timestamptz, reason, suspended, cancelled, contradictions, attempts,
    last_error, last_error_at::timestamptz, string_to_array(done_steps, chr(31)),
    string_to_array(current_steps, chr(31)), string_to_array(undone_steps, chr(31)),
    string_to_array(left_to_undo, chr(31)), waits::jsonb, next_due::timestamptz, stuck, stuck_since::timestamptz,
    stuck_step, stuck_direction, started_by, trace, state
FROM unnest(
    %(ids)b::text[]::uuid[], %(sagas)b::text[], %(definitions)b::integer[], %(keys)b::text[], %(statuses)b::text[],
    %(versions)b::bigint[], %(started)b::text[], %(updated)b::text[], %(ended)b::text[], %(deadlines)b::text[],
    %(deadlines_passed)b::text[], %(reasons)b::text[], %(suspended)b::text[], %(cancelled)b::text[],
    %(contradictions)b::integer[], %(attempts)b::integer[], %(last_errors)b::text[], %(last_errors_at)b::text[],
    %(done_steps)b::text[], %(current_steps)b::text[], %(undone_steps)b::text[], %(left_to_undo)b::text[],
    %(waits)b::text[], %(next_due)b::text[], %(stuck)b::text[], %(stuck_since)b::text[], %(stuck_steps)b::text[],
    %(stuck_directions)b::text[], %(started_by)b::text[], %(traces)b::text[], %(states)b::text[]
) AS new (
    saga_id, saga, definition, key, status, version, started, updated, ended, deadline, deadline_passed, reason,
    suspended, cancelled, contradictions, attempts, last_error, last_error_at, done_steps, current_steps,
    undone_steps, left_to_undo, waits, next_due, stuck, stuck_since, stuck_step, stuck_direction, started_by, trace,
    state
)
ORDER BY saga_id
ON CONFLICT (saga_id) DO UPDATE SET
    saga = excluded.saga, definition = excluded.definition, key = excluded.key, status = excluded.status,
    version = excluded.version, started = excluded.started, updated = excluded.updated, ended = excluded.ended,
    deadline = excluded.deadline, deadline_passed = excluded.deadline_passed, reason = excluded.reason,
    suspended = excluded.suspended, cancelled = excluded.cancelled, contradictions = excluded.contradictions,
    attempts = excluded.attempts, last_error = excluded.last_error, last_error_at = excluded.last_error_at,
    done_steps = excluded.done_steps, current_steps = excluded.current_steps, undone_steps = excluded.undone_steps,
    left_to_undo = excluded.left_to_undo, waits = excluded.waits, next_due = excluded.next_due,
    stuck = excluded.stuck, stuck_since = excluded.stuck_since, stuck_step = excluded.stuck_step,
    stuck_direction = excluded.stuck_direction, started_by = excluded.started_by, trace = excluded.trace,
    state = excluded.state
