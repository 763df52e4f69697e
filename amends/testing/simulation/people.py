"""Operators, who act on sagas at random."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

from amends.domain.errors import ActionRefused
from amends.domain.inputs import Abandon, Action, Cancel, Reschedule, Resume, Retry, Settle, Skip, Suspend
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.chance import Dice
from amends.process_managers.acting import act
from amends.process_managers.registry import Registry
from amends.testing.processes import Process
from amends.testing.simulation.faults import Chance
from amends.testing.simulation.watch import Watch
from amends.testing.stepper import Stepper

_WHY: Final = "the dice said so"
_SOON: Final = timedelta(seconds=10)


class People:
    """Each of them does one thing, as a program of its own that may be slow, and may die."""

    def __init__(self, stepper: Stepper, registry: Registry, watch: Watch, chance: Chance) -> None:
        self._stepper = stepper
        self._registry = registry
        self._watch = watch
        self._chance = chance
        self._dice: Dice = chance.dice
        self._count = 0
        self.resuming: dict[UUID, timedelta] = {}
        """When somebody will resume a saga that somebody suspended."""

    def meddle(self) -> None:
        """Somebody does something to some saga. What they say of an effect is true: nothing is settled wrongly."""
        if not self._watch.records:
            return
        saga_id = self._dice.choice(list(self._watch.records))
        action = self._dice.choice(_ACTIONS)(self, saga_id)
        if isinstance(action, Suspend):
            self.resuming[saga_id] = self._stepper.loop.now + timedelta(seconds=self._dice.uniform(1, 200))
        self._act(saga_id, action)

    def resume(self) -> None:
        """Those whose time has come; when all is calm, every suspended saga."""
        now = self._stepper.loop.now
        if self._chance.calm:
            for saga_id, record in self._watch.records.items():
                if record.ledger.suspended:
                    self.resuming.setdefault(saga_id, now + _SOON)
        for saga_id in [each for each, until in self.resuming.items() if until <= now]:
            del self.resuming[saga_id]
            self._act(saga_id, Resume(self.name(), _WHY))

    def name(self) -> str:
        """The next person's request."""
        self._count += 1
        return f"person-{self._count}"

    def step(self, saga_id: UUID) -> str:
        """Some step of the saga."""
        return self._dice.choice([*self._watch.records[saga_id].ledger.steps, "s0"])

    def _act(self, saga_id: UUID, action: Action) -> None:
        async def main(process: Process) -> None:
            store, publisher = self._stepper.ports(process)
            try:
                await act(store, publisher, self._registry, self._stepper.namespace, saga_id, action)
            except ActionRefused:
                self._chance.count("refused")

        self._stepper.start(action.message_id, main)

    def reschedule(self, saga_id: UUID) -> Reschedule:
        """A timer is moved."""
        due = self._stepper.database_clock.now() + timedelta(seconds=self._dice.uniform(0, 60))
        return Reschedule(self.name(), _WHY, self.step(saga_id), due)


def _settle(people: People, saga_id: UUID) -> Action:
    return Settle(
        people.name(),
        _WHY,
        step=people.step(saga_id),
        outcome=Outcome.SUCCEEDED,
        direction=Direction.COMPENSATE,
    )


_ACTIONS: Final[tuple[Callable[[People, UUID], Action], ...]] = (
    lambda people, saga_id: Cancel(people.name(), _WHY),
    lambda people, saga_id: Cancel(people.name(), _WHY),
    lambda people, saga_id: Suspend(people.name(), _WHY),
    lambda people, saga_id: Suspend(people.name(), _WHY),
    lambda people, saga_id: Retry(people.name(), _WHY),
    lambda people, saga_id: Retry(people.name(), _WHY, people.step(saga_id)),
    lambda people, saga_id: Skip(people.name(), _WHY, step=people.step(saga_id)),
    lambda people, saga_id: Abandon(people.name(), _WHY),
    People.reschedule,
    _settle,
)
