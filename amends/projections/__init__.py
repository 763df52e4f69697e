"""The read side: what happened, and where things stand."""
