"""The outside world behind four ports: PostgreSQL, NATS, the clock, and servers of our own."""
