-- What is neither held nor out any more of these sagas' limited commands: how it ended, to be counted by the gate; what
-- ended otherwise, or never left, is forgotten.
WITH ended AS (
    SELECT command_id, failed FROM unnest(%(ended)b::uuid[], %(failed)b::boolean[]) AS each (command_id, failed)
),
forgotten AS (
    DELETE FROM {schema}.limited_commands
    WHERE saga_id = ANY (%(saga_ids)b::uuid[])
        AND failed IS NULL
        AND command_id <> ALL (%(command_ids)b::uuid[])
        AND command_id NOT IN (SELECT command_id FROM ended)
)
UPDATE {schema}.limited_commands AS command SET failed = ended.failed
FROM ended
WHERE command.command_id = ended.command_id AND command.failed IS NULL
