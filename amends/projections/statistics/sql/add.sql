-- Adds what ended to the histograms; hours come as text, up to the hour.
INSERT INTO {copy}.durations AS known
    (hour, saga, definition, step, direction, outcome, bucket, count, microseconds)
SELECT (hour || ':00Z')::timestamptz, saga, definition, step, direction, outcome, bucket, count, microseconds
FROM unnest(
    %(hours)b::text[], %(sagas)b::text[], %(definitions)b::integer[], %(steps)b::text[], %(directions)b::text[],
    %(outcomes)b::text[], %(buckets)b::integer[], %(counts)b::bigint[], %(microseconds)b::bigint[]
) AS new (hour, saga, definition, step, direction, outcome, bucket, count, microseconds)
ON CONFLICT (hour, saga, definition, step, direction, outcome, bucket) DO UPDATE
SET count = known.count + excluded.count, microseconds = known.microseconds + excluded.microseconds
