"""A scenario's worker in memory, on virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from amends.domain import wire
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.history import Recorded
from amends.domain.inputs import Action
from amends.infrastructure.broker import ConsumerSpec
from amends.infrastructure.ports import Incoming, Outgoing
from amends.process_managers.acting import act
from amends.process_managers.registry import Registry
from amends.testing.processes import Move
from amends.testing.stepper import Stepper
from amends.testing.virtual_time import EPOCH

_WORKER: Final = "worker"
_MANY: Final = 10_000
_JUST_AFTER: Final = timedelta(microseconds=1)  # a timer falls due when its moment is over


class _Points:
    """Where the worker dies; each point once."""

    def __init__(self) -> None:
        self.armed: list[str] = []

    def at(self, program: str, label: str) -> Move:
        """Nothing is slow."""
        return Move.PASS

    def dies_at(self, program: str, probe: str) -> bool:
        """Once at each point."""
        if probe not in self.armed:
            return False
        self.armed.remove(probe)
        return True


class MemorySystem:
    """The production worker over ports in memory."""

    namespace = "test"

    def __init__(self, definition: AnyDefinition) -> None:
        self._definition = definition
        self._points = _Points()
        self._stepper = Stepper(namespace=self.namespace, chooser=self._points)
        self._stepper.worker(_WORKER, [definition])
        self._stepper.settle()
        everything = ConsumerSpec(
            wire.stream(self.namespace, "commands"), "services", (wire.command_subject(self.namespace, ">"),)
        )
        self._stepper.complete(self._stepper.broker.ensure((), [everything]))
        self._inbox = self._stepper.broker.inbox([everything])

    def publish(self, message: Outgoing) -> None:
        """Put a message onto the broker."""
        self._stepper.complete(self._stepper.broker.publisher().publish([message]))

    def commands(self) -> Sequence[Incoming]:
        """Those that came, when the worker waits."""
        self._settle()
        came = self._stepper.complete(self._inbox.receive(_MANY, 0))
        self._stepper.complete(self._inbox.acknowledge(came))
        return came

    def advance(self, duration: timedelta) -> None:
        """Let time pass: straight from one timer of the saga to the next, or months would take their time."""
        until = self._stepper.loop.now + duration
        self._settle()
        while (timer := self._next_timer()) is not None and timer <= until:
            self._move(timer + _JUST_AFTER)
        self._move(until)

    def act(self, saga: UUID, action: Action) -> None:
        """What an operator does."""
        publisher = self._stepper.broker.publisher()
        registry = Registry([self._definition])
        self._stepper.complete(act(self._stepper.store, publisher, registry, self.namespace, saga, action))

    def crash(self, at: str) -> None:
        """Die there, or now."""
        if at:
            self._points.armed.append(at)
        else:
            self._stepper.kill(_WORKER)
            self._settle()

    def armed(self) -> Sequence[str]:
        """The points that the worker has not come to."""
        return self._points.armed

    def now(self) -> datetime:
        """The virtual time."""
        return self._stepper.clock.now()

    def history(self, saga: UUID) -> Sequence[Recorded]:
        """The saga's events so far."""
        return self._stepper.history(saga)

    def quarantined(self, saga: UUID) -> str:
        """Why the saga could not be decided."""
        told = self._stepper.complete(self._stepper.store.quarantined(saga_id=saga))
        return told[0].error if told else ""

    def close(self) -> None:
        """Kill the worker."""
        self._stepper.close()

    def _settle(self) -> None:
        """Let the worker work; where it died, another takes its place."""
        self._stepper.settle()
        while _WORKER not in self._stepper.processes or not self._stepper.processes[_WORKER].alive:
            self._stepper.worker(_WORKER, [self._definition])
            self._stepper.broker.redeliver()
            self._stepper.settle()

    def _next_timer(self) -> timedelta | None:
        """When the next timer falls due; one that something holds up is not waited for."""
        rows = self._stepper.complete(self._stepper.store.saga_rows())
        timers = (row.wake_up - EPOCH for row in rows if row.wake_up is not None)
        return min((timer for timer in timers if timer >= self._stepper.loop.now), default=None)

    def _move(self, moment: timedelta) -> None:
        self._stepper.jump(moment - self._stepper.loop.now)
        self._settle()
