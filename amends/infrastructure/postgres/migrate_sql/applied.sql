-- What was applied of a package.
SELECT version, name FROM migrations WHERE package = %(package)s
