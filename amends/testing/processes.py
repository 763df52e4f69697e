"""Programs that live on virtual time and may die at any of their calls to the outside world."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from typing import Any, Protocol

from amends.infrastructure.groups import only
from amends.testing.virtual_time import VirtualLoop


class Died(BaseException):
    """The program is no more. No `except Exception` of production code can catch it, as none survives a kill."""


class Move(Enum):
    """What happens to a program at a gate."""

    PASS = "pass"  # noqa: S105 - no password
    WAIT = "wait"
    DIE = "die"


class Chooser(Protocol):
    """Decides what happens at the labelled points of every program."""

    def at(self, program: str, label: str) -> Move:
        """At a gate: a call to the outside world, before it is made (`store.commit`) or when it returns
        (`store.commit done`)."""
        ...

    def dies_at(self, program: str, probe: str) -> bool:
        """At a probe of production code, which can only be passed or died at."""
        ...


class Calm:
    """Nothing goes wrong, and nothing is slow."""

    def at(self, program: str, label: str) -> Move:
        """Pass."""
        return Move.PASS

    def dies_at(self, program: str, probe: str) -> bool:
        """No."""
        return False


class Gates:
    """Where programs wait whose calls take their time."""

    def __init__(self, loop: VirtualLoop, chooser: Chooser) -> None:
        self._loop = loop
        self.chooser = chooser
        self.waiting: list[tuple[Process, asyncio.Future[None]]] = []

    def open(self, place: int) -> None:
        """Let the program go on that waits at this place of the list."""
        _, gate = self.waiting.pop(place)
        if not gate.done():
            gate.set_result(None)

    async def wait(self, process: Process) -> None:
        """Until the gate is opened, or the program dies."""
        gate: asyncio.Future[None] = self._loop.create_future()
        self.waiting.append((process, gate))
        await gate

    def close(self, process: Process) -> None:
        """The program died: it does not come through."""
        mine = [gate for waiting, gate in self.waiting if waiting is process]
        self.waiting = [item for item in self.waiting if item[0] is not process]
        for gate in mine:
            if not gate.done():
                gate.set_exception(Died(process.name))


class Process:
    """A program: one task and what it starts. When it is killed, nothing that it still tries has an effect."""

    def __init__(self, name: str, loop: VirtualLoop, gates: Gates) -> None:
        self.name = name
        self.alive = True
        self.stopping = asyncio.Event()
        """Set to have it finish what it has in hand, and end."""
        self.task: asyncio.Task[Any] | None = None
        self._loop = loop
        self._gates = gates

    def run(self, main: Coroutine[Any, Any, Any]) -> None:
        """Start it."""
        self.task = self._loop.create_task(main, name=self.name)
        self.task.add_done_callback(self._ended)

    def kill(self) -> None:
        """As by a power failure: it does not finish anything."""
        self.alive = False
        self._gates.close(self)
        if self.task is not None:
            self._loop.call_soon(self.task.cancel)

    def probe(self, label: str) -> None:
        """Given to production code as its `probe`. Raises `Died` where that is chosen."""
        if self.alive and self._gates.chooser.dies_at(self.name, label):
            self.kill()
        self._ensure_alive()

    async def gate(self, label: str) -> None:
        """Pass, wait, or raise `Died`."""
        self._ensure_alive()
        move = self._gates.chooser.at(self.name, label)
        if move is Move.WAIT:
            await self._gates.wait(self)
        elif move is Move.DIE:
            self.kill()
        self._ensure_alive()

    def _ensure_alive(self) -> None:
        if not self.alive:
            raise Died(self.name)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self.alive:
            self._loop.errors.append(only(error))
        self.alive = False


class Gated:
    """A port as one program sees it: each of its calls, and each return, is a gate."""

    def __init__(self, port: object, name: str, process: Process) -> None:
        self._port = port
        self._name = name
        self._process = process
        self._calls: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """What the port has under this name: a coroutine function, gated; a port that is a part of it; or as it is."""
        if name not in self._calls:
            found = getattr(self._port, name)
            label = f"{self._name}.{name}"
            if inspect.iscoroutinefunction(found):
                self._calls[name] = self._gated(label, found)
            else:
                self._calls[name] = found if callable(found) else Gated(found, label, self._process)
        return self._calls[name]

    def _gated(self, label: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            await self._process.gate(label)
            result = await method(*args, **options)
            await self._process.gate(f"{label} done")
            return result

        return call
