-- Lets another sweep the outbox.
SELECT pg_advisory_unlock(hashtextextended('amends outbox ' || %(schema)s::text, 0))
