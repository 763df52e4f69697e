-- Moves a dead letter to those that somebody saw to, and its message into the outbox: from there it is published,
-- whoever dies meanwhile. Nothing where another was quicker.
WITH letter AS (
    DELETE FROM {schema}.dead_letters WHERE message_id = %(message_id)s RETURNING *
),
settled AS (
    INSERT INTO {schema}.settled_letters (message_id, deed, by, reason, letter, body)
    SELECT
        message_id, 'requeued', %(by)s, %(reason)s,
        jsonb_build_object(
            'subject', subject, 'headers', headers, 'received', received, 'sequence', sequence, 'consumer', consumer,
            'stage', stage, 'reason', letter.reason, 'at', at
        ),
        body
    FROM letter
    RETURNING seq
)
INSERT INTO {schema}.outbox (message_id, deduplication_id, saga_id, subject, headers, body)
SELECT
    concat('requeued/', settled.seq, '/', letter.message_id), %(deduplication_id)s, NULL, letter.subject,
    letter.headers, letter.body
FROM letter CROSS JOIN settled
RETURNING message_id
