-- After the locks: the time, and the answers remembered for these ids.
SELECT clock_timestamp(), remembered.kind, remembered.id, remembered.body
FROM (VALUES (1)) AS always
LEFT JOIN {schema}.remembered
    ON (kind, id) IN (SELECT * FROM unnest(%(kinds)b::text[], %(ids)b::text[]))
