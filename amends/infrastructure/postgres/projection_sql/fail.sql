-- Says why a copy does not go on.
UPDATE {schema}.projections SET error = %(error)s WHERE name = %(name)s AND copy = %(copy)s
