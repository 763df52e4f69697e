-- What is left to sell, and what is sold. Together they are always what there was.
CREATE TABLE shelf (left_over integer NOT NULL CHECK (left_over >= 0));
CREATE TABLE bookings (trip_id text PRIMARY KEY);
