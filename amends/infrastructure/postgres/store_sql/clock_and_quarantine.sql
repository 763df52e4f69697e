-- The time, and which of these sagas are in quarantine.
SELECT clock_timestamp(), ARRAY(
    SELECT saga_id FROM {schema}.sagas WHERE saga_id = ANY (%(ids)b::uuid[]) AND quarantined_at IS NOT NULL
)
