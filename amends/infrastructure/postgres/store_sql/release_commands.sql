-- Releases held commands, what goes back first, then the oldest; also those whose release nobody recorded in time.
-- What belongs to a saga in quarantine stays.
WITH chosen AS MATERIALIZED (
    SELECT command_id FROM {schema}.limited_commands AS held
    WHERE participant = %(participant)b::text
        AND NOT recorded
        AND NOT suspended
        AND (expires IS NULL OR expires <= %(now)b::timestamptz)
        AND NOT EXISTS (
            SELECT FROM {schema}.sagas AS saga
            WHERE saga.saga_id = held.saga_id AND saga.quarantined_at IS NOT NULL
        )
    ORDER BY backwards DESC, seq
    LIMIT %(limit)b
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.limited_commands AS command
SET released_at = %(now)b::timestamptz, expires = %(now)b::timestamptz + %(lease)b::interval
FROM chosen
WHERE command.command_id = chosen.command_id
RETURNING command.saga_id, command.command_id, NOT command.backwards, command.seq
