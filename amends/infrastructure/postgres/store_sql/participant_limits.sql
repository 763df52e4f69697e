-- How the limits of participants stand.
SELECT
    limits.participant, limits.rules, limits.gate,
    limits.seen_at >= statement_timestamp() - %(in_force)s::interval,
    count(*) FILTER (
        WHERE released_at IS NOT NULL AND failed IS NULL
            AND expires > statement_timestamp() - CASE WHEN recorded THEN %(grace)s::interval ELSE '0' END
    ),
    count(*) FILTER (WHERE NOT recorded AND (expires IS NULL OR expires <= statement_timestamp())),
    min(since) FILTER (WHERE NOT recorded AND (expires IS NULL OR expires <= statement_timestamp()))
FROM {schema}.participant_limits AS limits
LEFT JOIN {schema}.limited_commands USING (participant)
GROUP BY limits.participant
ORDER BY limits.participant
