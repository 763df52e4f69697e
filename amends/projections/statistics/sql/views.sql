-- How many ended, and how long it took them. The names and columns are a contract: columns are added at the end only.

-- Bounds of percentiles are those of buckets, each a tenth above the one before.
CREATE OR REPLACE VIEW {views}.statistics_by_hour AS
WITH ranked AS (
    SELECT
        *, 0.001 * power(1.1, bucket) AS bound, sum(count) FILTER (WHERE bucket IS NOT NULL) OVER same AS measured,
        sum(count) FILTER (WHERE bucket IS NOT NULL) OVER (same ORDER BY bucket) AS reached
    FROM {copy}.durations
    WINDOW same AS (PARTITION BY hour, saga, definition, step, direction, outcome)
)
SELECT
    hour, saga, definition, step, direction, outcome, sum(count)::bigint AS count,
    sum(microseconds) / 1e6::double precision / nullif(max(measured), 0) AS mean_seconds,
    (min(bound) FILTER (WHERE reached >= 0.5 * measured))::double precision AS p50_seconds,
    (min(bound) FILTER (WHERE reached >= 0.9 * measured))::double precision AS p90_seconds,
    (min(bound) FILTER (WHERE reached >= 0.99 * measured))::double precision AS p99_seconds,
    max(bound)::double precision AS max_seconds, max(progress.behind) AS behind
FROM ranked
CROSS JOIN (SELECT behind FROM {views}.projections WHERE projection = 'statistics' AND state = 'live') AS progress
GROUP BY hour, saga, definition, step, direction, outcome;

-- The same over all time.
CREATE OR REPLACE VIEW {views}.statistics AS
WITH total AS (
    SELECT saga, definition, step, direction, outcome, bucket, sum(count) AS count, sum(microseconds) AS microseconds
    FROM {copy}.durations
    GROUP BY saga, definition, step, direction, outcome, bucket
),
ranked AS (
    SELECT
        *, 0.001 * power(1.1, bucket) AS bound, sum(count) FILTER (WHERE bucket IS NOT NULL) OVER same AS measured,
        sum(count) FILTER (WHERE bucket IS NOT NULL) OVER (same ORDER BY bucket) AS reached
    FROM total
    WINDOW same AS (PARTITION BY saga, definition, step, direction, outcome)
)
SELECT
    saga, definition, step, direction, outcome, sum(count)::bigint AS count,
    sum(microseconds) / 1e6::double precision / nullif(max(measured), 0) AS mean_seconds,
    (min(bound) FILTER (WHERE reached >= 0.5 * measured))::double precision AS p50_seconds,
    (min(bound) FILTER (WHERE reached >= 0.9 * measured))::double precision AS p90_seconds,
    (min(bound) FILTER (WHERE reached >= 0.99 * measured))::double precision AS p99_seconds,
    max(bound)::double precision AS max_seconds, max(progress.behind) AS behind
FROM ranked
CROSS JOIN (SELECT behind FROM {views}.projections WHERE projection = 'statistics' AND state = 'live') AS progress
GROUP BY saga, definition, step, direction, outcome;
