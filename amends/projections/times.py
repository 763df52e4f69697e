"""Times as they are told."""

from __future__ import annotations

from datetime import datetime


def utc(at: datetime) -> str:
    """A time in UTC to the millisecond, cut and not rounded, as SQL's `to_char` does."""
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"
