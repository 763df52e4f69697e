"""Blocking work on the database, from the event loop: in a thread, and again while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import psycopg
import structlog
from eventsourcing.persistence import InterfaceError

from amends.infrastructure.postgres.link import is_transient

P = ParamSpec("P")
T = TypeVar("T")

_LOG: Final = structlog.get_logger("amends.store")
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 5.0


class Patience:
    """Runs operations in a few threads, one hop each.

    An operation that fails because the database is away, or chose it as a victim, is tried again from its
    start, for ever, with pauses up to five seconds. Cancelling ends that; but an attempt under way is waited
    for, so that nothing goes on in the dark.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="amends-store")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work returns. Raises what it raises, unless trying again may help."""
        failures = 0
        while True:
            try:
                return await self._attempt(lambda: work(*args, **kwargs))
            except Exception as error:
                if not may_pass(error):
                    raise
                failures += 1
                pause = min(_FIRST_PAUSE * 2 ** min(failures, 16), _LONGEST_PAUSE)
                _LOG.warning(
                    "the database failed, trying again",
                    operation=getattr(work, "__name__", "?"),
                    error=str(error).strip(),
                    failures=failures,
                    pause=pause,
                )
            await asyncio.sleep(pause)

    def close(self) -> None:
        """Every operation must have ended."""
        self._threads.shutdown()

    async def _attempt(self, work: Callable[[], T]) -> T:
        return await to_its_end(asyncio.get_running_loop().run_in_executor(self._threads, work))


async def to_its_end(attempt: asyncio.Future[T]) -> T:
    """What the attempt returns. It is waited for even by who is cancelled, so that nothing goes on in the dark."""
    try:
        return await asyncio.shield(attempt)
    except asyncio.CancelledError:
        while not attempt.done():
            try:
                await asyncio.wait([attempt])
            except asyncio.CancelledError:
                continue  # asked again; the answer is the same
        if error := attempt.exception():
            _LOG.warning("an operation failed while it was cancelled", error=str(error).strip())
        raise


def may_pass(error: BaseException) -> bool:
    """Whether the operation may succeed when it is tried again."""
    cause = error.__cause__  # the library raises errors of its own, from those of the driver
    if isinstance(error, InterfaceError | psycopg.InterfaceError):
        return True  # the connection was lost, or closed by the pool
    return is_transient(error) or (cause is not None and is_transient(cause))
