-- How many events the lists of sagas do not show yet.
SELECT behind FROM {views}.projections WHERE projection = 'sagas' AND state = 'live'
