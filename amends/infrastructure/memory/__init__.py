"""Ports without servers: for unit tests and the simulator."""
