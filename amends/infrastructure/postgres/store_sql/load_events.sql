-- The histories of a batch of sagas.
SELECT originator_id, originator_version, topic, state
FROM {schema}.events
WHERE originator_id = ANY (%(ids)b::uuid[])
ORDER BY originator_id, originator_version
