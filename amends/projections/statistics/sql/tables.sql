-- How many ended, and how long it took them: a histogram for each hour and each kind of end.
CREATE TABLE durations (
    hour       timestamptz NOT NULL,
    saga       text NOT NULL,
    definition integer NOT NULL,
    step       text NOT NULL,                     -- empty: the saga itself
    direction  text NOT NULL,
    outcome    text NOT NULL,
    bucket     integer,                           -- up to 1.1 ^ bucket milliseconds; null: nobody measured
    count      bigint NOT NULL,
    microseconds bigint NOT NULL,                 -- all of them together
    UNIQUE NULLS NOT DISTINCT (hour, saga, definition, step, direction, outcome, bucket)
);

-- When that began which is under way.
CREATE TABLE begun (
    saga_id uuid PRIMARY KEY,
    state   text NOT NULL
)
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
