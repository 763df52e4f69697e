-- Every copy that there is.
SELECT name, copy, version, state, position FROM {schema}.projections ORDER BY name, copy
