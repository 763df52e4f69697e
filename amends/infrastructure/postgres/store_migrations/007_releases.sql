-- Requests of operators to release sagas that have no history to record them in: they failed before their first event.
CREATE TABLE releases (
    saga_id uuid NOT NULL,
    request text NOT NULL,
    by      text NOT NULL,
    reason  text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (saga_id, request)
);
