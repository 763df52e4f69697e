-- Ends the quarantine of a saga without a history, and keeps who asked for it and why; answers whether that request did
-- so, now or before.
WITH freed AS (
    UPDATE {schema}.sagas SET quarantined_at = NULL, error = NULL
    WHERE saga_id = %(saga_id)b::uuid AND quarantined_at IS NOT NULL
    RETURNING saga_id
),
kept AS (
    INSERT INTO {schema}.releases (saga_id, request, by, reason)
    SELECT saga_id, %(request)b::text, %(by)b::text, %(reason)b::text FROM freed
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM freed)
    OR EXISTS (SELECT FROM {schema}.releases WHERE saga_id = %(saga_id)b::uuid AND request = %(request)b::text)
