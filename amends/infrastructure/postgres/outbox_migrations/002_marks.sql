-- The last that was known of the broker's streams, to notice what it lost.
CREATE TABLE marks (
    stream     text PRIMARY KEY,
    created    text NOT NULL,
    sequence   bigint NOT NULL,
    message_id text NOT NULL
);
