-- What is counted for limits, over all workers. Nothing is kept of participants and saga types without limits.

-- The limits of participants, and what their gate remembers.
CREATE TABLE participant_limits (
    participant text PRIMARY KEY,
    rules       jsonb NOT NULL,
    gate        jsonb NOT NULL DEFAULT '{}',
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp() -- when a worker last told that it has them
);

-- The commands that are held, or out and awaited, or ended and not yet counted.
CREATE TABLE limited_commands (
    command_id  uuid PRIMARY KEY,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    participant text NOT NULL,
    saga_id     uuid NOT NULL,
    backwards   boolean NOT NULL,                  -- compensates or closes
    suspended   boolean NOT NULL,                  -- its saga is
    since       timestamptz NOT NULL,
    released_at timestamptz,
    expires     timestamptz,                       -- of its attempt; before the release is recorded, of the lease
    recorded    boolean NOT NULL,                  -- the release is in the saga's history
    failed      boolean                            -- how it ended
)
-- A queue, like the outbox.
WITH (
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX limited_commands_held ON limited_commands (participant, backwards DESC, seq) WHERE NOT recorded;
CREATE INDEX limited_commands_out ON limited_commands (participant) WHERE released_at IS NOT NULL;
CREATE INDEX limited_commands_saga_id ON limited_commands (saga_id);

-- How many sagas of a type run at once.
CREATE TABLE type_limits (
    saga    text PRIMARY KEY,
    at_once integer NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The sagas that do; `until` is how long one has time to start that has not yet.
CREATE TABLE slots (
    saga_id uuid PRIMARY KEY,
    saga    text NOT NULL,
    until   timestamptz
);
CREATE INDEX slots_saga ON slots (saga);

-- The slots that are taken: what is parked or suspended has none, what is in quarantine leaves it.
CREATE VIEW taken_slots AS
SELECT slot.saga_id, slot.saga
FROM slots AS slot LEFT JOIN sagas AS running USING (saga_id)
WHERE slot.until > statement_timestamp()
    OR (running.status IN ('running', 'compensating') AND running.quarantined_at IS NULL);

-- Starts that came when as many ran as may.
ALTER TABLE held
    DROP CONSTRAINT held_why_check,
    ADD CONSTRAINT held_why_check CHECK (why IN ('quarantine', 'version', 'early', 'limit'));
CREATE INDEX held_limit ON held (saga, seq) WHERE why = 'limit';
