-- Appends events in the given order.
INSERT INTO {schema}.events (originator_id, originator_version, topic, state)
SELECT originator_id, originator_version, topic, state
FROM unnest(%(event_sagas)b::uuid[], %(event_versions)b::bigint[], %(topics)b::text[], %(states)b::bytea[])
    WITH ORDINALITY AS event (originator_id, originator_version, topic, state, place)
ORDER BY place
RETURNING notification_id
