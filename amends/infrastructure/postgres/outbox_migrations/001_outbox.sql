-- Messages recorded in the transaction of what they tell of, to be published after its commit.
CREATE TABLE outbox (
    position     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id   text NOT NULL,
    subject      text NOT NULL,
    headers      text NOT NULL,                 -- a JSON object of strings
    body         bytea NOT NULL,
    losses       integer NOT NULL DEFAULT 0,    -- how often the broker lost it: part of the deduplication id
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz
);

CREATE INDEX outbox_unpublished ON outbox (position) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
