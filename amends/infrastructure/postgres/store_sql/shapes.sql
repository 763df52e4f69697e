-- Every shape that was ever recorded.
SELECT shape FROM {schema}.definitions ORDER BY saga, version
