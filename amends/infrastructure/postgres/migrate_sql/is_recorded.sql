-- Whether the schema of the search path records its migrations.
SELECT to_regclass('migrations') IS NOT NULL
