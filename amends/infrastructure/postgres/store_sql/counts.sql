-- How many sagas of each type are in each status.
SELECT saga, status, count(*) FROM {schema}.sagas GROUP BY saga, status ORDER BY saga, status
