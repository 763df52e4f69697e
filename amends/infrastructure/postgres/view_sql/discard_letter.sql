-- Moves a dead letter to those that somebody saw to; nothing where another was quicker.
WITH letter AS (
    DELETE FROM {schema}.dead_letters WHERE message_id = %(message_id)s RETURNING *
)
INSERT INTO {schema}.settled_letters (message_id, deed, by, reason, letter, body)
SELECT
    message_id, 'discarded', %(by)s, %(reason)s,
    jsonb_build_object(
        'subject', subject, 'headers', headers, 'received', received, 'sequence', sequence, 'consumer', consumer,
        'stage', stage, 'reason', letter.reason, 'at', at
    ),
    body
FROM letter
RETURNING message_id
