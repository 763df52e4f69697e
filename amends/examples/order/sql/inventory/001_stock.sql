-- What is on the shelf, what was ever put there, and what is reserved: delivered = on_hand + reserved, always.
CREATE TABLE stock (
    sku text PRIMARY KEY,
    delivered bigint NOT NULL,
    on_hand bigint NOT NULL CHECK (on_hand >= 0)
);
CREATE TABLE reservations (
    order_id text PRIMARY KEY,
    sku text NOT NULL REFERENCES stock,
    quantity bigint NOT NULL CHECK (quantity > 0)
);
