-- Forgets held messages that have been handled.
DELETE FROM {schema}.held
WHERE (message_id, saga) IN (SELECT * FROM unnest(%(ids)b::text[], %(sagas)b::text[]))
