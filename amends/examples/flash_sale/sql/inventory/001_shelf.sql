-- What is left of each sale, and who has what. Together they are always what was delivered.
CREATE TABLE sale_shelf (sale text PRIMARY KEY, left_over integer NOT NULL CHECK (left_over >= 0));
CREATE TABLE sale_reservations (order_id text PRIMARY KEY, sale text NOT NULL REFERENCES sale_shelf);
