-- Writes the rows of a batch, its messages to publish and its events, and forgets messages that the broker has by now;
-- answers the sagas that lost to another worker, or are in quarantine, of which nothing is written. One statement is one
-- round trip, and a transaction that no frozen worker can hold open.
WITH saved AS (
    -- In the order of saga ids, so that two workers cannot wait for each other. A changed row ends the lease on its timer.
    INSERT INTO {schema}.sagas AS saga (saga_id, saga, definition, key, status, version, expected, wake_up, look_at)
    SELECT saga_id, saga, definition, key, status, version, expected, wake_up, wake_up
    FROM unnest(
        %(ids)b::uuid[], %(sagas)b::text[], %(definitions)b::integer[], %(keys)b::text[], %(statuses)b::text[],
        %(versions)b::bigint[], %(expected)b::bigint[], %(wake_ups)b::timestamptz[]
    ) AS new (saga_id, saga, definition, key, status, version, expected, wake_up)
    ORDER BY saga_id
    ON CONFLICT (saga_id) DO UPDATE
    SET saga = excluded.saga, definition = excluded.definition, key = excluded.key, status = excluded.status,
        version = excluded.version, expected = excluded.expected, wake_up = excluded.wake_up, taken_until = NULL
    WHERE saga.version = excluded.expected AND saga.quarantined_at IS NULL
    RETURNING saga_id
),
lost AS (
    SELECT saga_id FROM unnest(%(ids)b::uuid[]) AS wanted (saga_id) WHERE saga_id NOT IN (SELECT saga_id FROM saved)
),
recorded AS (
    -- A message that still waits to be published stays as it is.
    INSERT INTO {schema}.outbox (message_id, deduplication_id, saga_id, subject, headers, body)
    SELECT message_id, deduplication_id, saga_id, subject, headers, body
    FROM unnest(
        %(message_ids)b::text[], %(deduplication_ids)b::text[], %(message_sagas)b::uuid[], %(subjects)b::text[],
        %(headers)b::text[], %(bodies)b::bytea[]
    ) WITH ORDINALITY AS message (message_id, deduplication_id, saga_id, subject, headers, body, place)
    WHERE saga_id IS NULL OR saga_id NOT IN (SELECT saga_id FROM lost)
    ORDER BY place
    ON CONFLICT (message_id) DO NOTHING
    RETURNING message_id
),
forgotten AS (
    DELETE FROM {schema}.outbox WHERE message_id = ANY (%(published)b::text[])
),
locked AS MATERIALIZED (
    -- After all that can be done before it: from here to the commit this is the only transaction that appends, so that
    -- notification ids appear in the order of commits.
    SELECT pg_notify(%(channel)s, ''), pg_advisory_xact_lock(hashtextextended('amends events of ' || %(schema)s, 0))
    FROM (SELECT count(*) AS sagas FROM saved) AS all_saved, (SELECT count(*) FROM recorded) AS all_recorded
    WHERE sagas > 0
),
appended AS (
    INSERT INTO {schema}.events (originator_id, originator_version, topic, state)
    SELECT originator_id, originator_version, topic, state
    FROM locked, unnest(
        %(event_sagas)b::uuid[], %(event_versions)b::bigint[], %(topics)b::text[], %(states)b::bytea[]
    ) WITH ORDINALITY AS event (originator_id, originator_version, topic, state, place)
    -- Not as IN, which is planned as a join for a few rows: of all events with all sagas.
    WHERE originator_id NOT IN (SELECT saga_id FROM lost)
    ORDER BY place
)
SELECT saga_id FROM lost
