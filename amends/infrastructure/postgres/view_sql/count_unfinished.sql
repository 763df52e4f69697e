-- How many sagas have not ended, by type and reason, and for how long the oldest of them has stood so.
SELECT saga, reason, count(*), extract(epoch FROM statement_timestamp() - min(since))::float8
FROM {views}.unfinished
GROUP BY saga, reason
