"""Choreographies: services that react to each other's events, and what an observer expects of them."""
