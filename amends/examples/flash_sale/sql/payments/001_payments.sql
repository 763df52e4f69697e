-- Who has paid.
CREATE TABLE sale_payments (order_id text PRIMARY KEY);
