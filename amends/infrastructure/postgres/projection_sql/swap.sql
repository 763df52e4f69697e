-- Retires the live copy if the one that was built beside it has come as far; answers which it was.
UPDATE {schema}.projections AS live SET state = 'retired'
FROM {schema}.projections AS built
WHERE live.name = %(name)s AND live.state = 'live' AND built.name = live.name AND built.copy = %(copy)s
    AND built.state = 'building' AND built.position >= live.position
RETURNING live.copy
