-- A new copy, at the beginning of history.
INSERT INTO {schema}.projections (name, copy, version, state)
SELECT %(name)s, coalesce(max(copy), 0) + 1, %(version)s, %(state)s FROM {schema}.projections WHERE name = %(name)s
RETURNING copy
