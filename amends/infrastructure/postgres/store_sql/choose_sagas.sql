-- Unfinished sagas, and starts that are in quarantine, by type and version, in the order of ids.
SELECT saga_id FROM {schema}.sagas
WHERE (status IN ('running', 'compensating') OR (status = '' AND quarantined_at IS NOT NULL))
    AND (%(saga)s::text IS NULL OR saga = %(saga)s::text)
    AND (%(definition)s::integer IS NULL OR definition = %(definition)s::integer)
    AND (%(after)s::uuid IS NULL OR saga_id > %(after)s::uuid)
ORDER BY saga_id
LIMIT %(limit)s
