-- Records shapes of definitions whose version has none yet.
INSERT INTO {schema}.definitions (saga, version, shape)
SELECT saga, version, shape
FROM unnest(%(sagas)b::text[], %(versions)b::integer[], %(shapes)b::jsonb[]) AS new (saga, version, shape)
ORDER BY saga, version
ON CONFLICT (saga, version) DO NOTHING
