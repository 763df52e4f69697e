-- The order of messages is only asked for where some were left behind, which are few: then they are sorted. An index for
-- it would be written with every message, and cleaned up again.
ALTER TABLE outbox
    DROP CONSTRAINT outbox_pkey,
    DROP CONSTRAINT outbox_message_id_key,
    ADD PRIMARY KEY (message_id);
