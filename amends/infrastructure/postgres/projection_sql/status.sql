-- How far each copy is.
SELECT
    projection, copy, version, state, events, position, head, behind, behind_since, error, begun_at, fed,
    events_per_second::double precision, extract(epoch FROM time_left)::double precision AS seconds_left
FROM {views}.projections
ORDER BY projection, copy
