"""A saga's history as a picture: attempts, waits and compensations over time, from its events alone."""
