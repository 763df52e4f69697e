-- Records what a group of views is made of; answers nothing where it is made of that already, or of something newer.
INSERT INTO {schema}.projection_views AS known (name, version, digest) VALUES (%(name)s, %(version)s, %(digest)s)
ON CONFLICT (name) DO UPDATE SET version = excluded.version, digest = excluded.digest
WHERE known.version < excluded.version OR (known.version = excluded.version AND known.digest <> excluded.digest)
RETURNING version
