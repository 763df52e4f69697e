"""Whole systems from a seed: sagas, services, broker and workers, with faults, and every invariant watched."""
