-- The types of which a running worker holds a version.
SELECT DISTINCT saga FROM {schema}.workers WHERE seen_at > clock_timestamp() - interval '30 seconds'
