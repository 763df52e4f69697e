-- How far the copies are that are being built. Numbers may be missing in the order of commits, so what is left is a bound.
SELECT
    copy.name, copy.events, head.position - copy.position AS left,
    (copy.events / nullif(extract(epoch FROM copy.busy), 0))::double precision,
    (extract(epoch FROM copy.busy) * (head.position - copy.position) / nullif(copy.events, 0))::double precision
FROM {schema}.projections AS copy
CROSS JOIN (SELECT coalesce(max(notification_id), 0) AS position FROM {schema}.events) AS head
WHERE copy.state = 'building' AND copy.name = ANY (%(names)s::text[])
ORDER BY copy.name
