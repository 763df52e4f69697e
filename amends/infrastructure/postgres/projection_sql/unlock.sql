-- Gives the copy up.
SELECT pg_advisory_unlock(hashtextextended(format('amends projection %%s %%s %%s', %(schema)s::text, %(name)s::text, %(copy)s::int), 0))
