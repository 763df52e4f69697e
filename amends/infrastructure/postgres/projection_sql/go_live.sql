-- The copy is the one that readers see from now on.
UPDATE {schema}.projections SET state = 'live' WHERE name = %(name)s AND copy = %(copy)s
