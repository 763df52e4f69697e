"""The machine's clock, and names that nobody has used before: the only dice that are rolled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from uuid import uuid4


class SystemClock:
    """The `Clock` port on this machine's own time, counted on from when it was made: it never jumps."""

    def __init__(self) -> None:
        self._made = datetime.now(UTC)
        self._mark = time.monotonic()

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return self._made + timedelta(seconds=time.monotonic() - self._mark)

    async def sleep(self, seconds: float) -> None:
        """Returns when so many seconds have passed."""
        await asyncio.sleep(seconds)


_NAMES: ContextVar[Callable[[], str]] = ContextVar("amends fresh names")


def fresh_name() -> str:
    """A name that was never given before."""
    given = _NAMES.get(None)
    return given() if given else uuid4().hex


@contextmanager
def naming(names: Callable[[], str]) -> Iterator[None]:
    """In the body, fresh names come from there: for runs that must be the same each time."""
    token = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(token)
