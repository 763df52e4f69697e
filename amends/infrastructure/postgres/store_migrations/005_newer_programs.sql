-- While programs are upgraded one after the other, older ones leave sagas alone that newer ones went on with.

ALTER TABLE sagas
    ADD COLUMN unreadable text[];                  -- topics of its events that some worker could not read
ALTER TABLE workers
    ADD COLUMN topics text[] NOT NULL DEFAULT '{}'; -- of the events that its program can read
