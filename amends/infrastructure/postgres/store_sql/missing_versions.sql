-- Versions of sagas that are not over, which no worker has told to hold, and to be able to read, for half a minute; with how many sagas there are,
-- and how many messages are held for them.
SELECT saga, definition, count(*),
    (
        SELECT count(*) FROM {schema}.held AS held LEFT JOIN {schema}.sagas AS known USING (saga_id)
        WHERE held.saga = waiting.saga
            AND coalesce(known.definition, held.definition) = waiting.definition
            AND held.why = 'version'
    )
FROM {schema}.sagas AS waiting
WHERE status IN ('running', 'compensating')
    AND NOT EXISTS (
        SELECT FROM {schema}.workers AS worker
        WHERE worker.saga = waiting.saga
            AND worker.definition = waiting.definition
            AND (waiting.unreadable IS NULL OR waiting.unreadable <@ worker.topics)
            AND worker.seen_at > clock_timestamp() - interval '30 seconds'
    )
GROUP BY saga, definition
ORDER BY saga, definition
