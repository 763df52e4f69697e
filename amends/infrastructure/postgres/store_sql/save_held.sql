-- Keeps messages that wait; one that waits for the same type already stays as it is.
INSERT INTO {schema}.held
    (message_id, subject, headers, body, received, sequence, consumer, saga_id, saga, definition, why, error,
    key_name, key_value, until)
SELECT message_id, subject, headers, body, received, sequence, consumer, saga_id, saga, definition, why, error,
    key_name, key_value, until
FROM unnest(
    %(ids)b::text[], %(subjects)b::text[], %(headers)b::text[], %(bodies)b::bytea[], %(received)b::timestamptz[],
    %(sequences)b::bigint[], %(consumers)b::text[], %(saga_ids)b::uuid[], %(sagas)b::text[],
    %(definitions)b::integer[], %(whys)b::text[], %(errors)b::text[], %(key_names)b::text[], %(key_values)b::text[],
    %(untils)b::timestamptz[]
) WITH ORDINALITY AS message (
    message_id, subject, headers, body, received, sequence, consumer, saga_id, saga, definition, why, error,
    key_name, key_value, until, place
)
ORDER BY place
ON CONFLICT (message_id, saga) DO NOTHING
