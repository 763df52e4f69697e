-- Tells that a worker runs, which versions it holds, and which events it can read.
INSERT INTO {schema}.workers (worker, saga, definition, topics)
SELECT %(worker)s::text, saga, definition, %(topics)s::text[] FROM unnest(%(sagas)s::text[], %(definitions)s::integer[]) AS held (saga, definition)
ORDER BY saga, definition
ON CONFLICT (worker, saga, definition) DO UPDATE SET topics = excluded.topics, seen_at = clock_timestamp()
