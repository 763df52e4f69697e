"""Sagas for Python services: long business transactions that finish or make amends."""

__version__ = "0.1.0"
