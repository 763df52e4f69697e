-- Records the version of a group of views; answers nothing where it is not newer than what is there.
INSERT INTO {schema}.projection_views AS known (name, version) VALUES (%(name)s, %(version)s)
ON CONFLICT (name) DO UPDATE SET version = excluded.version WHERE known.version < excluded.version
RETURNING version
