-- One row for each saga.
CREATE TABLE sagas (
    saga_id         uuid PRIMARY KEY,
    saga            text NOT NULL,
    definition      integer NOT NULL,
    key             text NOT NULL,
    status          text NOT NULL,
    version         bigint NOT NULL,
    started         timestamptz NOT NULL,
    updated         timestamptz NOT NULL,
    ended           timestamptz,
    deadline        timestamptz,
    deadline_passed timestamptz,
    reason          text NOT NULL,
    suspended       text NOT NULL,
    cancelled       text NOT NULL,
    contradictions  integer NOT NULL,
    attempts        integer NOT NULL,
    last_error      text NOT NULL,
    last_error_at   timestamptz,
    done_steps      text[] NOT NULL,
    current_steps   text[] NOT NULL,
    undone_steps    text[] NOT NULL,
    left_to_undo    text[] NOT NULL,
    waits           jsonb NOT NULL,
    next_due        timestamptz,
    stuck           text NOT NULL,                -- why it stands where it stands; empty: it is final
    stuck_since     timestamptz,
    stuck_step      text NOT NULL,
    stuck_direction text NOT NULL,
    started_by      text NOT NULL,
    trace           text NOT NULL,
    state           text NOT NULL                 -- what the fold needs to go on from here, as JSON
)
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX sagas_key ON sagas (key);
-- Lists show the latest first, a page at a time.
CREATE INDEX sagas_started ON sagas (started, saga_id);
CREATE INDEX sagas_updated ON sagas (updated);
CREATE INDEX sagas_unfinished ON sagas (stuck_since) WHERE stuck <> '';
