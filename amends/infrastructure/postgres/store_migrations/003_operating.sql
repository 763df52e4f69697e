-- What operators need: which workers run, and jobs over many sagas that go on after a crash.

-- A saga's timers wait for the messages that are held for it.
CREATE INDEX held_saga_id ON held (saga_id) WHERE saga_id IS NOT NULL;

-- The versions that running workers hold, each told again every few seconds.
CREATE TABLE workers (
    worker     text NOT NULL,
    saga       text NOT NULL,
    definition integer NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (worker, saga, definition)
);

-- One action on many sagas. Its items are chosen when it is made, so that it can go on where it stopped.
CREATE TABLE jobs (
    job        text PRIMARY KEY,
    action     jsonb NOT NULL,                     -- the action, without its message id
    chosen_by  jsonb NOT NULL,                     -- the filter, for people to read
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE job_items (
    job     text NOT NULL REFERENCES jobs,
    place   bigint NOT NULL,
    saga_id uuid NOT NULL,
    result  text CHECK (result IN ('done', 'refused')), -- none yet: still to be done
    reason  text NOT NULL DEFAULT '',              -- why it was refused
    at      timestamptz,
    PRIMARY KEY (job, place)
);
CREATE INDEX job_items_left ON job_items (job, place) WHERE result IS NULL;
