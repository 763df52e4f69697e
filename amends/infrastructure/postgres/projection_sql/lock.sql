-- Takes the copy for this connection, until it ends, unless another has it.
SELECT pg_try_advisory_lock(hashtextextended(format('amends projection %%s %%s %%s', %(schema)s::text, %(name)s::text, %(copy)s::int), 0))
