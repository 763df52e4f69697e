-- What was applied to a schema, by the package that the files are in.
CREATE TABLE IF NOT EXISTS migrations (
    package    text NOT NULL,
    version    integer NOT NULL,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (package, version)
)
