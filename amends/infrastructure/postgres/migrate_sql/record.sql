-- Notes that a migration was applied.
INSERT INTO migrations (package, version, name) VALUES (%(package)s, %(version)s, %(name)s)
