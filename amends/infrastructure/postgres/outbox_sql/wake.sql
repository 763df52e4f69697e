-- Wakes the relays of the schema.
SELECT pg_notify(%(channel)s, %(schema)s)
