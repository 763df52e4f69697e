-- What events find their sagas by, beside the business key; and what becomes of events that find none.

-- Further keys that sagas learnt on the way. Each belongs to one saga of its type, for ever.
CREATE TABLE learnt_keys (
    saga    text NOT NULL,
    name    text NOT NULL,
    value   text NOT NULL,
    saga_id uuid NOT NULL,
    PRIMARY KEY (saga, name, value)
);
CREATE INDEX learnt_keys_saga_id ON learnt_keys (saga_id);

-- Events that may be early wait, too; and one message can wait for sagas of several types.
ALTER TABLE held
    DROP CONSTRAINT held_message_id_key,
    ADD CONSTRAINT held_message_id_saga_key UNIQUE (message_id, saga),
    DROP CONSTRAINT held_why_check,
    ADD CONSTRAINT held_why_check CHECK (why IN ('quarantine', 'version', 'early')),
    ADD COLUMN key_name  text,                     -- of the further key that it was looked for by
    ADD COLUMN key_value text,
    ADD COLUMN until     timestamptz;              -- when an early event has waited long enough

-- Events that found no saga of a type that listens to them, and what became of each: for auditors.
CREATE TABLE unclaimed (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL,
    saga       text NOT NULL,
    subject    text NOT NULL,
    key        text NOT NULL,
    became     text NOT NULL CHECK (became IN ('ignored', 'kept', 'dead')),
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (message_id, saga)
);
