-- Whether the live copies of these projections show all events up to a place.
SELECT count(*) = cardinality(%(names)s::text[])
FROM {schema}.projections
WHERE name = ANY (%(names)s::text[]) AND state = 'live' AND position >= %(position)s
