-- The copy is the one that readers see from now on; whoever waits for it is told.
UPDATE {schema}.projections SET state = 'live' WHERE name = %(name)s AND copy = %(copy)s
RETURNING pg_notify(%(channel)s::text, '')
