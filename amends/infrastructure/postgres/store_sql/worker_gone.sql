-- Forgets a worker that stopped, and those that were not seen for a day.
DELETE FROM {schema}.workers WHERE worker = %(worker)s::text OR seen_at < clock_timestamp() - interval '1 day'
