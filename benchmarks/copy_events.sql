-- The histories of the copies, byte for byte; their hash chains are those of the originals.
INSERT INTO {schema}.events (originator_id, originator_version, topic, state)
SELECT md5(originator_id || '/' || copy)::uuid, originator_version, topic, state
FROM original_events, generate_series(%(first)s::integer, %(last)s::integer) AS copy
ORDER BY 1, 2
