-- Lets one transaction at a time make, swap and drop copies and views.
SELECT pg_advisory_xact_lock(hashtextextended('amends projections of ' || %(schema)s::text, 0))
