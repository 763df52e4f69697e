-- Marks in place of those of the same name, in one order for all who do it at once.
INSERT INTO {schema}.marks (stream, created, sequence, message_id)
SELECT stream, created, sequence, message_id
FROM unnest(%(streams)b::text[], %(created)b::text[], %(sequences)b::bigint[], %(ids)b::text[])
    AS mark (stream, created, sequence, message_id)
ORDER BY stream
ON CONFLICT (stream) DO UPDATE
SET created = excluded.created, sequence = excluded.sequence, message_id = excluded.message_id
