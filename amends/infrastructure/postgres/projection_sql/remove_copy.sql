-- Forgets a copy.
DELETE FROM {schema}.projections WHERE name = %(name)s AND copy = %(copy)s
