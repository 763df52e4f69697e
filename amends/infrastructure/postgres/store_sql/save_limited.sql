-- The limited commands that are held (without `expires`) or out. Where one is about to be released, its lease stays.
INSERT INTO {schema}.limited_commands AS command
    (command_id, participant, saga_id, backwards, suspended, since, released_at, expires, recorded)
SELECT
    command_id, participant, saga_id, backwards, suspended, since,
    CASE WHEN expires IS NOT NULL THEN clock_timestamp() END, expires, expires IS NOT NULL
FROM unnest(
    %(command_ids)b::uuid[], %(participants)b::text[], %(command_sagas)b::uuid[], %(backwards)b::boolean[],
    %(suspended)b::boolean[], %(since)b::timestamptz[], %(expires)b::timestamptz[]
) WITH ORDINALITY AS new (command_id, participant, saga_id, backwards, suspended, since, expires, place)
ORDER BY place
ON CONFLICT (command_id) DO UPDATE
SET suspended = excluded.suspended,
    recorded = excluded.recorded,
    released_at = coalesce(command.released_at, excluded.released_at),
    expires = CASE WHEN excluded.recorded THEN excluded.expires ELSE command.expires END
