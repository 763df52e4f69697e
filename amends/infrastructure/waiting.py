"""A wait that others can end, without a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Waiting:
    """Waits for one thing at a time."""

    def __init__(self) -> None:
        self._limit: asyncio.Timeout | None = None

    async def until(self, work: Awaitable[T], otherwise: T) -> T:
        """What the work returns; `otherwise` where `end` was called meanwhile, and then the work is cancelled."""
        limit = self._limit = asyncio.timeout(None)
        try:
            async with limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            return otherwise
        finally:
            self._limit = None

    def end(self) -> None:
        """End the wait, if there is one."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(0)
