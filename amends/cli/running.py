"""Running an asynchronous command: the event loop, signals, and errors that a person can read."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
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
        with _terminable(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(work)
    except AmendsError as error:
        errors.print(Text.assemble(("amends:", "red"), f" {type(error).__name__}: {error}"))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_BY_SIGNAL + signal.SIGINT)


def on_signal(stop: Callable[[], None]) -> None:
    """Have SIGTERM and SIGINT stop the work gracefully; a second one ends it at once."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):

        def first(number: signal.Signals = number) -> None:
            loop.remove_signal_handler(number)
            stop()

        loop.add_signal_handler(number, first)


@contextmanager
def _terminable() -> Iterator[None]:
    """In the body SIGTERM is an error, so that it is left in order; signals can only be heard in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminated(number: int, _frame: object) -> None:
        sys.exit(_BY_SIGNAL + number)

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
