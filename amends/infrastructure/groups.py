"""Errors that come out of task groups."""

from __future__ import annotations


def only(error: BaseException) -> BaseException:
    """The one error inside nested groups, or the group where there are several."""
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return only(inner[0]) if len(inner) == 1 else error
