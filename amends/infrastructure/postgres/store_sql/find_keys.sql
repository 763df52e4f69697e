-- The sagas that learnt these keys.
SELECT saga, name, value, saga_id
FROM {schema}.learnt_keys
WHERE (saga, name, value) IN (SELECT * FROM unnest(%(sagas)b::text[], %(names)b::text[], %(values)b::text[]))
