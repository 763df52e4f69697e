"""Errors that come out of task groups."""

from __future__ import annotations

from typing import cast


def only(error: BaseException) -> BaseException:
    """The one error inside nested groups, or the group where there are several."""
    while isinstance(error, BaseExceptionGroup):
        inner = cast("tuple[BaseException, ...]", error.exceptions)
        if len(inner) > 1:
            break
        error = inner[0]
    return cast("BaseException", error)
