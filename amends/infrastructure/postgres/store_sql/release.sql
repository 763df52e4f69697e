-- Ends the quarantine of these sagas; answers those that were in one.
UPDATE {schema}.sagas SET quarantined_at = NULL, error = NULL
WHERE saga_id = ANY (%(saga_ids)b::uuid[]) AND quarantined_at IS NOT NULL
RETURNING saga_id
