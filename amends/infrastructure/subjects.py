"""Which subjects a filter covers."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


@lru_cache(4096)  # few filters and few subjects, compared for every message
def covers(pattern: str, subject: str) -> bool:
    """Whether the filter matches the subject, or all that another filter matches."""
    wanted, given = pattern.split("."), subject.split(".")
    for place, part in enumerate(wanted):
        if part == ">":
            return len(given) > place
        if place >= len(given) or given[place] == ">" or (part != "*" and part != given[place]):
            return False
    return len(wanted) == len(given)


def minimal(patterns: Iterable[str]) -> tuple[str, ...]:
    """The same filters, sorted, without those that another one covers: a consumer must not have both."""
    distinct = sorted(set(patterns))
    return tuple(
        each for each in distinct if not any(other != each and covers(other, each) for other in distinct)
    )
