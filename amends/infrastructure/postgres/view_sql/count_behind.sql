-- How many events each projection that is read does not show yet.
SELECT projection, behind FROM {views}.projections WHERE state = 'live'
