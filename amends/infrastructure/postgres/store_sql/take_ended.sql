-- The time, and when the commands left that ended since this was last asked, each with how it ended.
WITH ended AS (
    DELETE FROM {schema}.limited_commands
    WHERE participant = %(participant)b::text AND released_at IS NOT NULL AND failed IS NOT NULL
    RETURNING released_at, failed
)
SELECT clock_timestamp(), coalesce(array_agg(released_at ORDER BY released_at), '{}'),
    coalesce(array_agg(failed ORDER BY released_at), '{}')
FROM ended
