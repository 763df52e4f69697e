-- Whether this connection alone may sweep the outbox, until it ends or lets another.
SELECT pg_try_advisory_lock(hashtextextended('amends outbox ' || %(schema)s::text, 0))
