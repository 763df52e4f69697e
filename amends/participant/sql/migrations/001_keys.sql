-- What the participant promised: one row for each forward key, whichever command named it first.
CREATE TABLE keys (
    forward_key         text PRIMARY KEY,
    action              text NOT NULL,             -- the forward command's subject
    opened_at           timestamptz NOT NULL,
    touched_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome             text CHECK (outcome IN ('succeeded', 'rejected')),
    answer              bytea,                     -- the body of the definite answer
    compensated         boolean NOT NULL DEFAULT false,
    compensation_answer bytea,
    CHECK ((outcome IS NULL) = (answer IS NULL)),
    CHECK (compensated = (compensation_answer IS NOT NULL)),
    CHECK (NOT compensated OR outcome = 'succeeded')
) WITH (fillfactor = 70);

CREATE INDEX keys_opened ON keys (opened_at);

-- Answers that hold for less than the forward key: `failed` for one command id ('command'),
-- a refused compensation for the compensation's own key ('key').
CREATE TABLE remembered (
    kind        text NOT NULL CHECK (kind IN ('command', 'key')),
    id          text NOT NULL,
    forward_key text NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX remembered_forward_key ON remembered (forward_key);

-- Messages that could not be handled, whole, with the reason.
CREATE TABLE dead_letters (
    id          text PRIMARY KEY,
    reason      text NOT NULL,
    subject     text NOT NULL,
    headers     text NOT NULL,                     -- a JSON object of strings
    body        bytea NOT NULL,
    received_at timestamptz NOT NULL,              -- when the broker received it
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
