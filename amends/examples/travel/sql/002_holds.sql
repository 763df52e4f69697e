-- Until when something is only held; null where it is sold for good.
ALTER TABLE bookings ADD COLUMN held_until timestamptz;
