-- Ends the quarantine of a saga.
UPDATE {schema}.sagas SET quarantined_at = NULL, error = NULL
WHERE saga_id = %(saga_id)b AND quarantined_at IS NOT NULL
RETURNING saga_id
