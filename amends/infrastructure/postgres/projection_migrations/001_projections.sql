-- How far each copy of a read model has come. A copy's own tables stand in a schema of their own, so that a second copy
-- can be built beside the one that readers see.
CREATE TABLE projections (
    name      text NOT NULL,
    copy      integer NOT NULL,
    version   integer NOT NULL,                   -- of the projection's tables and of its fold
    state     text NOT NULL CHECK (state IN ('live', 'building', 'retired')),
    position  bigint NOT NULL DEFAULT 0,          -- the notification id of the last event that its rows show
    events    bigint NOT NULL DEFAULT 0,          -- how many it has taken in
    busy      interval NOT NULL DEFAULT interval '0', -- how long that took
    error     text NOT NULL DEFAULT '',           -- why it does not go on
    begun_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, copy)
);
CREATE UNIQUE INDEX projections_live ON projections (name) WHERE state = 'live';
CREATE UNIQUE INDEX projections_building ON projections (name) WHERE state = 'building';

-- The version of the views that were made last, each group by whoever holds the newest.
CREATE TABLE projection_views (
    name    text PRIMARY KEY,
    version integer NOT NULL
);
