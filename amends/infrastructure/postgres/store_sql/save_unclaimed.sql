-- Records what became of events that found no saga; what is known of one already is replaced.
INSERT INTO {schema}.unclaimed AS known (message_id, saga, subject, key, became)
SELECT message_id, saga, subject, key, became
FROM unnest(%(ids)b::text[], %(sagas)b::text[], %(subjects)b::text[], %(keys)b::text[], %(became)b::text[])
    AS new (message_id, saga, subject, key, became)
ON CONFLICT (message_id, saga) DO UPDATE SET seq = DEFAULT, became = excluded.became, at = clock_timestamp()
