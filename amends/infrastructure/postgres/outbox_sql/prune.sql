-- Deletes some messages whose time of being kept after their publication is over.
DELETE FROM {schema}.outbox
WHERE position IN (
    SELECT position FROM {schema}.outbox
    WHERE published_at < clock_timestamp() - %(keep)s::interval
    ORDER BY published_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
