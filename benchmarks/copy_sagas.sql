-- Copies of the sagas of `original_sagas` under other ids and keys, in the order in which the index wants them.
INSERT INTO {schema}.sagas (saga_id, saga, definition, key, status, version, expected)
SELECT md5(saga_id || '/' || copy)::uuid, saga, definition, key || '/' || copy, status, version, expected
FROM original_sagas, generate_series(%(first)s::integer, %(last)s::integer) AS copy
ORDER BY 1
