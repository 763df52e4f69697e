-- Tells that a worker runs, and which versions it holds.
INSERT INTO {schema}.workers (worker, saga, definition)
SELECT %(worker)s::text, saga, definition FROM unnest(%(sagas)s::text[], %(definitions)s::integer[]) AS held (saga, definition)
ORDER BY saga, definition
ON CONFLICT (worker, saga, definition) DO UPDATE SET seen_at = clock_timestamp()
