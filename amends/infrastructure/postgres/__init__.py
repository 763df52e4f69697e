"""What Amends keeps in PostgreSQL, and how it gets there."""
