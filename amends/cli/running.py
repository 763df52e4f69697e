"""Running an asynchronous command: the event loop, signals, and errors that a person can read."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.text import Text

from amends.domain.errors import AmendsError

T = TypeVar("T")

_COLLECTIONS: Final = (50_000, 20, 20)
"""How seldom garbage is looked for: a worker keeps thousands of sagas, and every look goes through them all."""

_BY_SIGNAL: Final = 128
"""A program that a signal ended has a status above it, as shells tell it."""

errors = Console(stderr=True)


class BadInput(AmendsError):
    """The input of a command cannot be read."""


def execute(work: Coroutine[Any, Any, T]) -> T:
    """Run the command's work. An error of ours is printed, and ends the program with status 1.

    What the work began is ended with it, also by SIGTERM: other programs, say, and servers.
    """
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(*_COLLECTIONS)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_terminable(work))
    except AmendsError as error:
        errors.print(Text.assemble(("amends:", "red"), f" {type(error).__name__}: {error}"))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_BY_SIGNAL + signal.SIGINT)


def on_signal(stop: Callable[[], None]) -> None:
    """Have SIGTERM and SIGINT stop the work gracefully; a second one ends it at once."""
    for number in (signal.SIGTERM, signal.SIGINT):
        _on_first(number, stop)


def _on_first(number: signal.Signals, stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()

    def first() -> None:
        loop.remove_signal_handler(number)
        stop()

    loop.add_signal_handler(number, first)


async def _terminable(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns. SIGTERM cancels it; signals can only be heard in the main thread.

    It is not raised where it comes: that may be in a task which the work needs to end in order, a connection's say.
    """
    task = asyncio.current_task()
    assert task is not None
    is_told = False

    def end() -> None:
        nonlocal is_told
        is_told = True
        task.cancel()

    if threading.current_thread() is threading.main_thread():
        _on_first(signal.SIGTERM, end)
    try:
        return await work
    except asyncio.CancelledError:
        if is_told:
            sys.exit(_BY_SIGNAL + signal.SIGTERM)
        raise


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
