-- How far each copy is, and whether a program holds it to feed it. The view leaves that out: to look at locks in every
-- query would cost too much.
SELECT
    projection, copy, version, state, events, position, head, behind, behind_since, error, begun_at,
    events_per_second::double precision, extract(epoch FROM time_left)::double precision AS seconds_left,
    EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::bigint << 32 | objid::bigint)
                = hashtextextended(format('amends projection %%s %%s %%s', %(schema)s::text, projection, copy), 0)
    ) AS fed
FROM {views}.projections
ORDER BY projection, copy
