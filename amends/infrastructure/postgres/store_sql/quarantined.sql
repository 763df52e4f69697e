-- Sagas in quarantine, with what went wrong, longest first.
SELECT saga_id, error FROM {schema}.sagas WHERE quarantined_at IS NOT NULL ORDER BY quarantined_at, saga_id
