-- Whether there is a schema of this name. Asked first, because CREATE SCHEMA IF NOT EXISTS needs a privilege even where
-- the schema exists.
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s)
