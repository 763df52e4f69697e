-- Every charge ever made; a refund marks it, and never takes it away.
CREATE TABLE charges (
    order_id text PRIMARY KEY,
    amount numeric(12, 2) NOT NULL,
    refunded boolean NOT NULL DEFAULT false
);
