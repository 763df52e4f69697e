"""A connection on which many small statements follow each other."""

from __future__ import annotations

import asyncio
import select
from functools import cached_property
from time import monotonic
from typing import Any, Final, TypeVar

from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.rows import TupleRow
from psycopg.waiting import Ready, Wait

T = TypeVar("T")

_MOMENT: Final = 1
"""Milliseconds for which the socket alone is looked at."""
_LONGEST: Final = 0.005
"""Seconds for which other tasks may be kept from running."""


class AttentiveConnection(AsyncConnection[TupleRow]):
    """Looks at its socket for a moment before it leaves the wait for an answer to the event loop.

    A statement that is answered at once then costs a third less. It does so only while `attentive`, for other tasks
    stand still meanwhile: for a millisecond each time, and never for more than a few in a row. `exchanges` counts
    what was asked of the server.
    """

    attentive = False
    exchanges = 0
    _since = 0.0

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """What `gen`, which talks to the server, returns."""
        self.exchanges += 1
        if timeout is not None:
            return await super().wait(gen, interval, timeout)
        if not self.attentive:
            return await self.at_leisure(gen, interval)
        if monotonic() - self._since > _LONGEST:
            await asyncio.sleep(0)
            self._since = monotonic()
        try:
            state = self._look(gen)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        returned = await self.at_leisure(_resumed(gen, state), interval)
        self._since = monotonic()
        return returned

    async def at_leisure(self, gen: PQGen[T], interval: float) -> T:
        """The rest of `gen`, by the event loop."""
        return await super().wait(gen, interval)

    def _look(self, gen: PQGen[Any]) -> Wait:
        """What `gen` waits for, where that does not come in a moment. Raises `StopIteration` when it is done."""
        state = next(gen)
        while state == Wait.R and self._watch.poll(_MOMENT):
            state = gen.send(Ready.R)
        return state

    @cached_property
    def _watch(self) -> select.poll:
        watch = select.poll()
        watch.register(self.pgconn.socket, select.POLLIN)
        return watch


def _resumed(gen: PQGen[T], state: Wait) -> PQGen[T]:
    """What `gen` goes on with after it has yielded `state`."""
    try:
        while True:
            state = gen.send((yield state))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
