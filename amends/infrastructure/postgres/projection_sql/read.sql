-- Events in the order of commits.
SELECT notification_id, originator_id::text, originator_version, topic, state
FROM {schema}.events
WHERE notification_id > %(after)b AND (%(until)b::bigint IS NULL OR notification_id <= %(until)b::bigint)
ORDER BY notification_id
LIMIT %(limit)b
