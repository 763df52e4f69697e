-- Records keys that sagas learnt; answers whose each is. Where another saga was first, nothing may be committed.
INSERT INTO {schema}.learnt_keys AS learnt (saga, name, value, saga_id)
SELECT DISTINCT ON (saga, name, value) saga, name, value, saga_id
FROM unnest(%(sagas)b::text[], %(names)b::text[], %(values)b::text[], %(ids)b::uuid[])
    AS new (saga, name, value, saga_id)
ORDER BY saga, name, value
ON CONFLICT (saga, name, value) DO UPDATE SET saga_id = learnt.saga_id
RETURNING saga, name, value, saga_id
