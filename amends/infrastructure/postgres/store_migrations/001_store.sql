-- What the process manager keeps: histories, and what is committed together with them.

-- The histories, under the column names of the event-sourcing library's recorder. Rows are only ever added.
CREATE TABLE events (
    originator_id      uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic              text NOT NULL,              -- stable name and schema version: saga.started:1
    state              bytea NOT NULL,             -- the exact bytes that the hash chain covers
    notification_id    bigint GENERATED ALWAYS AS IDENTITY, -- the order of commits over all sagas
    recorded_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX events_notification_id ON events (notification_id);
-- Time grows with the table, so a few bytes for every hundred pages find any period.
CREATE INDEX events_recorded_at ON events USING brin (recorded_at) WITH (autosummarize = on);

-- One row for each saga: what is needed to find it, to wake it, and to notice that another worker was quicker.
CREATE TABLE sagas (
    saga_id        uuid PRIMARY KEY,
    saga           text NOT NULL,
    definition     integer NOT NULL,               -- the version of the definition
    key            text NOT NULL,
    status         text NOT NULL,                  -- empty: in quarantine before its first event
    version        bigint NOT NULL,                -- of the last event
    expected       bigint NOT NULL,                -- of the last event before the latest commit
    wake_up        timestamptz,
    taken_until    timestamptz,                    -- the lease of the worker that has its timer in hand
    quarantined_at timestamptz,
    error          text
)
-- Every commit rewrites its sagas' rows, so dead rows come as fast as events: vacuum early and often, and leave room
-- in each page. A lease, and a commit that leaves the wake-up alone, then update in place, touching no index.
WITH (
    fillfactor = 60,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX sagas_wake_up ON sagas (wake_up) WHERE wake_up IS NOT NULL AND quarantined_at IS NULL;
CREATE INDEX sagas_key ON sagas (key);
CREATE INDEX sagas_outstanding ON sagas (saga_id) WHERE status IN ('running', 'compensating');
CREATE INDEX sagas_quarantined ON sagas (quarantined_at) WHERE quarantined_at IS NOT NULL;

-- Messages that were committed and are not known to be published. A row is deleted once the broker has its message:
-- should the broker lose it later, the message is made again from the events.
CREATE TABLE outbox (
    seq              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id       text NOT NULL UNIQUE,
    deduplication_id text NOT NULL,
    saga_id          uuid,
    subject          text NOT NULL,
    headers          text NOT NULL,                -- a JSON object of strings; text costs half of what jsonb does
    body             bytea NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp()
)
-- A queue: nearly all of it is dead at any time, and the scan for the oldest walks over what is dead.
WITH (
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
);

-- Messages that could not be handled, with the reason.
CREATE TABLE dead_letters (
    message_id text PRIMARY KEY,
    subject    text NOT NULL,
    headers    text NOT NULL,
    body       bytea NOT NULL,
    received   timestamptz NOT NULL,
    sequence   bigint NOT NULL,
    consumer   text NOT NULL,
    stage      text NOT NULL,                      -- where it was found out
    reason     text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Messages that wait for a worker with their definition's version, or for their saga to leave quarantine.
CREATE TABLE held (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL UNIQUE,
    subject    text NOT NULL,
    headers    text NOT NULL,
    body       bytea NOT NULL,
    received   timestamptz NOT NULL,
    sequence   bigint NOT NULL,
    consumer   text NOT NULL,
    saga_id    uuid,
    saga       text NOT NULL,
    definition integer NOT NULL,
    why        text NOT NULL CHECK (why IN ('quarantine', 'version')),
    error      text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The shape of every definition that was ever used, so that a history can be drawn without its code.
CREATE TABLE definitions (
    saga        text NOT NULL,
    version     integer NOT NULL,
    shape       jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (saga, version)
);

-- The last that was known of the broker's streams, to notice what it lost.
CREATE TABLE marks (
    stream     text PRIMARY KEY,
    created    text NOT NULL,
    sequence   bigint NOT NULL,
    message_id text NOT NULL
);
