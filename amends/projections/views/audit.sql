-- The views that need no projection: over the event store itself, and over what stands beside it.

-- How far each projection is. The other views take from here how many events they do not show yet.
CREATE OR REPLACE VIEW {views}.projections AS
SELECT
    each.name AS projection, each.copy, each.version, each.state, each.position, head.position AS head,
    head.position - each.position AS behind, next.recorded_at AS behind_since, each.events,
    each.events / nullif(extract(epoch FROM each.busy), 0) AS events_per_second,
    CASE WHEN each.events > 0 THEN (head.position - each.position) * (each.busy / each.events) END AS time_left,
    each.error, each.begun_at
FROM {schema}.projections AS each
CROSS JOIN (SELECT coalesce(max(notification_id), 0) AS position FROM {schema}.events) AS head
LEFT JOIN LATERAL (
    SELECT recorded_at FROM {schema}.events WHERE notification_id > each.position ORDER BY notification_id LIMIT 1
) AS next ON true
WHERE each.state <> 'retired';

-- Every event of every saga: when, who and what caused it, and what it means.
CREATE OR REPLACE VIEW {views}.audit AS
SELECT
    stored.notification_id, stored.originator_id AS saga_id, stored.originator_version AS version,
    split_part(stored.topic, ':', 1) AS type, (event.body ->> 'at')::timestamptz AS at, stored.recorded_at,
    {views}.sentence(split_part(stored.topic, ':', 1), event.body) AS sentence, event.body ->> 'by' AS by,
    event.body ->> 'cause' AS causation_id, stored.originator_id AS correlation_id,
    nullif(split_part(coalesce(event.body ->> 'trace', ''), '-', 2), '') AS trace_id,
    saga.saga, saga.definition, saga.key, event.body ->> 'step' AS step,
    event.body - ARRAY['previous', 'at', 'by', 'cause', 'trace'] AS data, event.body ->> 'previous' AS previous_hash,
    0::bigint AS behind
FROM {schema}.events AS stored
CROSS JOIN LATERAL (
    -- NUL characters, which no text here can hold, are shown as the replacement character.
    SELECT replace(convert_from(stored.state, 'UTF8'), '\u0000', '\ufffd') AS text
) AS raw
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN raw.text IS JSON OBJECT AND pg_input_is_valid(raw.text, 'jsonb') THEN raw.text::jsonb
        ELSE jsonb_build_object('unreadable', raw.text)
    END AS body
) AS event
LEFT JOIN {schema}.sagas AS saga ON saga.saga_id = stored.originator_id;

-- Messages that could not be handled.
CREATE OR REPLACE VIEW {views}.dead_letters AS
SELECT
    message_id, at, stage, reason, subject, consumer, sequence, received,
    nullif(split_part(headers.body ->> 'Amends-Saga', '@', 1), '') AS saga, headers.body ->> 'Amends-Saga-Id' AS saga_id,
    headers.body AS headers, encode(letter.body, 'escape') AS body, length(letter.body) AS size,
    0::bigint AS behind
FROM {schema}.dead_letters AS letter
CROSS JOIN LATERAL (
    SELECT replace(letter.headers, '\u0000', '\ufffd')::jsonb AS body
) AS headers;

-- Events that found no saga of a type that listens to them.
CREATE OR REPLACE VIEW {views}.unclaimed AS
SELECT message_id, at, saga, subject, key, became, 0::bigint AS behind
FROM {schema}.unclaimed;

-- What operators did with sagas that failed before their first event, and so have no history that could tell.
CREATE OR REPLACE VIEW {views}.releases AS
SELECT
    each.saga_id, saga.saga, saga.definition, saga.key, each.request, each.at, each.by, each.reason,
    0::bigint AS behind
FROM {schema}.releases AS each
LEFT JOIN {schema}.sagas AS saga USING (saga_id);
