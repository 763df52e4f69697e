-- How the limits of participants stand. A limit is in force while a worker runs that has it, and a minute longer; a
-- command whose time is over while nothing of that is recorded is outstanding for a minute more.
CREATE OR REPLACE VIEW {views}.limits AS
SELECT
    each.participant, each.seen_at >= statement_timestamp() - interval '1 minute' AS in_force,
    (each.rules ->> 'outstanding')::bigint AS outstanding_limit,
    (each.rules ->> 'per_second')::bigint AS per_second_limit,
    count(*) FILTER (
        WHERE command.released_at IS NOT NULL AND command.failed IS NULL
            AND command.expires
                > statement_timestamp() - CASE WHEN command.recorded THEN interval '1 minute' ELSE '0' END
    ) AS outstanding,
    count(*) FILTER (WHERE held.really) AS held, min(command.since) FILTER (WHERE held.really) AS held_since,
    CASE WHEN jsonb_typeof(each.rules -> 'breaker') = 'object' THEN coalesce(each.gate ->> 'state', 'closed') END
        AS breaker,
    (each.gate ->> 'since')::timestamptz AS breaker_since,
    0::bigint AS behind
FROM {schema}.participant_limits AS each
LEFT JOIN {schema}.limited_commands AS command USING (participant)
CROSS JOIN LATERAL (
    SELECT NOT command.recorded AND (command.expires IS NULL OR command.expires <= statement_timestamp()) AS really
) AS held
GROUP BY each.participant;
