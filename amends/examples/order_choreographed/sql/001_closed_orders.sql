-- What became of orders that are over.
CREATE TABLE closed_orders (order_id text PRIMARY KEY, how text NOT NULL CHECK (how IN ('completed', 'failed')));
