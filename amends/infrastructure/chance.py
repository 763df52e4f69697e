"""Chance that can be repeated: what a seed decides, it decides each time."""

from __future__ import annotations

from random import Random


class Dice(Random):
    """Random choices that are a function of the seed alone."""
