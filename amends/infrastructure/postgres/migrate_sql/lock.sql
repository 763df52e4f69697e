-- Lets one program at a time migrate a schema; until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('amends migrations of ' || %(schema)s::text, 0))
