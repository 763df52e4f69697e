-- Forgets some keys beyond the horizon, with what was remembered beside them.
WITH old AS (
    SELECT forward_key FROM {schema}.keys
    WHERE opened_at < clock_timestamp() - %(horizon)s::interval
        AND touched_at < clock_timestamp() - %(horizon)s::interval
    ORDER BY opened_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM {schema}.keys USING old WHERE keys.forward_key = old.forward_key
    RETURNING keys.forward_key
), answers AS (
    DELETE FROM {schema}.remembered USING gone WHERE remembered.forward_key = gone.forward_key
)
SELECT count(*) FROM gone
