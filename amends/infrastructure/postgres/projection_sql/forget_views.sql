-- Forgets what the views of this group, or of all, are made of: they are gone.
DELETE FROM {schema}.projection_views WHERE %(name)s::text IS NULL OR name = %(name)s::text
