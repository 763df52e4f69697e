"""The table of the service that closes orders."""
