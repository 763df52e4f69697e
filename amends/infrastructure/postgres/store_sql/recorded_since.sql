-- Events of some topics since a moment, over all sagas, in the order of commits.
SELECT notification_id, originator_id, originator_version, topic, state
FROM {schema}.events
WHERE recorded_at >= %(since)b::timestamptz
    AND notification_id > %(after)b
    AND topic = ANY (%(topics)b::text[])
ORDER BY notification_id
LIMIT %(limit)b
