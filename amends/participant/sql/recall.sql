-- After the locks: the time, and the answers remembered for these ids.
SELECT clock_timestamp(), remembered.kind, remembered.id, remembered.body
FROM (VALUES (1)) AS always
LEFT JOIN {schema}.remembered
    ON (kind = 'command' AND id = ANY (%(commands)b::text[])) OR (kind = 'key' AND id = ANY (%(keys)b::text[]))
