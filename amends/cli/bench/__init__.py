"""Measuring sagas: how many a second, how long one takes, and whether anything was lost."""
