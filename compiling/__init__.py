"""Compiles the core, which decides what sagas do next, into extension modules: `make compile`."""
