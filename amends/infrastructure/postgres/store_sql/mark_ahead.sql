-- Notes of sagas that their histories have events which some worker cannot read.
UPDATE {schema}.sagas AS saga SET unreadable = array_append(unreadable, topic)
FROM unnest(%(ids)b::uuid[], %(topics)b::text[]) AS ahead (saga_id, topic)
WHERE saga.saga_id = ahead.saga_id AND topic <> ALL (coalesce(unreadable, ARRAY[]::text[]))
