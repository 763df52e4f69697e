-- How many commands are out, how many of them left since the gate is as it is, and whether one is held that could leave.
SELECT
    count(*), count(*) FILTER (WHERE released_at >= %(since)b::timestamptz),
    EXISTS (
        SELECT FROM {schema}.limited_commands AS held
        WHERE held.participant = %(participant)b::text AND NOT held.recorded AND NOT held.suspended
            AND (held.expires IS NULL OR held.expires <= %(now)b::timestamptz)
    )
FROM {schema}.limited_commands
WHERE participant = %(participant)b::text
    AND released_at IS NOT NULL
    AND failed IS NULL
    AND expires > %(now)b::timestamptz - CASE WHEN recorded THEN %(grace)b::interval ELSE '0' END
