-- Moves a copy on, unless it is no longer where it was, and tells whoever waits for it.
UPDATE {schema}.projections
SET position = %(position)b, events = events + %(events)b, busy = busy + %(busy)b::interval, error = ''
WHERE name = %(name)b AND copy = %(copy)b AND state = %(state)b AND position = %(expected)b
RETURNING pg_notify(%(channel)b::text, '')
