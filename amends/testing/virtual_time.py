"""Time that passes only when it is told to: an event loop for asyncio without input, output or a clock of its own.

Callbacks run one after the other in the order in which they were called for, so a program runs the same way each
time. Nothing here waits: where the machine's loop would sleep, this one returns.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from amends.domain.errors import AmendsError

T = TypeVar("T")

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When virtual time begins."""

_MICROSECOND: Final = timedelta(microseconds=1)


class Stuck(AmendsError):
    """A coroutine waits for something that does not happen at this time."""


class VirtualLoop:
    """Runs tasks until all of them wait. Time is counted in whole microseconds: no rounding makes a difference.

    It has what asyncio's tasks, futures and timeouts ask of an event loop, and nothing for files and sockets.
    """

    def __init__(self) -> None:
        self._self: Any = self  # an event loop in all that matters here
        self._now = 0
        self.date = EPOCH
        """The time as a date; asked far more often than it changes."""
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._ordinal = 0
        self.errors: list[BaseException] = []
        """What asyncio found that nobody handled."""

    @property
    def now(self) -> timedelta:
        """How much time has passed since the beginning."""
        return timedelta(microseconds=self._now)

    @property
    def next_timer(self) -> timedelta | None:
        """When something is to happen by itself."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return timedelta(microseconds=self._timers[0][0]) if self._timers else None

    def move_to(self, moment: timedelta) -> None:
        """Set the time, never backwards; what falls due until then happens with the next `run_ready`."""
        self._now = max(self._now, moment // _MICROSECOND)
        self.date = EPOCH + self.now

    def run_ready(self) -> None:
        """Run all that can run at this time, and what comes of it."""
        with self._running():
            while self._ready or self._due():
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()

    def complete(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that waits for nothing but other tasks. Raises `Stuck` where it does."""
        task: asyncio.Task[T] = self.create_task(coroutine)
        self.run_ready()
        if not task.done():
            task.cancel()
            self.run_ready()
            raise Stuck(f"expected {coroutine!r} to end at this time; it waits for something")
        return task.result()

    @contextmanager
    def _running(self) -> Iterator[None]:
        """This is the running loop in the body, even inside a coroutine of another one."""
        outer = asyncio_events._get_running_loop()
        asyncio_events._set_running_loop(None)
        asyncio_events._set_running_loop(self._self)
        try:
            yield
        finally:
            asyncio_events._set_running_loop(outer)

    def _due(self) -> bool:
        """Make the timers ready that have come; tells whether there was one."""
        while self._timers and self._timers[0][0] <= self._now:
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                self._ready.append(handle)
        return bool(self._ready)

    # What asyncio asks of a loop.

    def time(self) -> float:
        """Seconds since the beginning."""
        return self._now / 1e6

    def get_debug(self) -> bool:
        """No."""
        return False

    def is_running(self) -> bool:
        """Whether a callback of this loop is running."""
        return asyncio_events._get_running_loop() is self._self

    def is_closed(self) -> bool:
        """It has nothing to close."""
        return False

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run it after all that is ready."""
        handle = asyncio.Handle(callback, args, self._self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run it when so many seconds have passed."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run it at this time."""
        handle = asyncio.TimerHandle(when, callback, args, self._self, context)
        self._ordinal += 1
        heapq.heappush(self._timers, (round(when * 1e6), self._ordinal, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its turn comes."""

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self._self)

    def create_task(
        self,
        coro: Any,
        *,
        name: str | None = None,
        context: Context | None = None,
        **_: Any,
    ) -> asyncio.Task[Any]:
        """A task of this loop."""
        return asyncio.Task(coro, loop=self._self, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember what nobody handled."""
        error = context.get("exception")
        self.errors.append(error if error is not None else RuntimeError(str(context.get("message"))))


class VirtualClock:
    """The `Clock` port on virtual time. `ahead` is how far it is ahead of the true time; it may be changed."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """The time on this clock."""
        now = self._loop.date
        return now + self.ahead if self.ahead else now

    async def sleep(self, seconds: float) -> None:
        """Returns when so many seconds have passed."""
        slept: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(max(0.0, seconds), _wake, slept)
        try:
            await slept
        finally:
            timer.cancel()


def _wake(slept: asyncio.Future[None]) -> None:
    if not slept.done():
        slept.set_result(None)
