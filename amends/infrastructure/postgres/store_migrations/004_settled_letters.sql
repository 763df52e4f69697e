-- Dead letters that somebody saw to: sent again, or thrown away. Their messages are kept, so that both can be undone.
CREATE TABLE settled_letters (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL,
    deed       text NOT NULL CHECK (deed IN ('requeued', 'discarded')),
    by         text NOT NULL,
    reason     text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    letter     jsonb NOT NULL,                     -- what was known of it
    body       bytea NOT NULL
);
CREATE INDEX settled_letters_message_id ON settled_letters (message_id);
