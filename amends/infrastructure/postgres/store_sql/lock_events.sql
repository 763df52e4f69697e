-- Lets one transaction at a time append events, so that notification ids appear in the order of commits. A lock on
-- the table would do the same, but auto-analyze holds that up for as long as it runs.
SELECT pg_advisory_xact_lock(hashtextextended('amends events of ' || %(schema)s, 0))
