"""Operators, who act on sagas at random; and who, when nothing goes wrong any more, see to what waits for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from amends.domain.errors import ActionRefused
from amends.domain.inputs import (
    Abandon,
    Action,
    Cancel,
    Migrate,
    Release,
    Reschedule,
    Resume,
    Retry,
    Settle,
    Skip,
    Suspend,
)
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.chance import Dice
from amends.process_managers.acting import act
from amends.process_managers.registry import Registry
from amends.testing.processes import Process
from amends.testing.simulation.faults import Chance
from amends.testing.simulation.record import Record
from amends.testing.simulation.truth import Truth
from amends.testing.simulation.watch import Watch
from amends.testing.stepper import Stepper

_WHY: Final = "the dice said so"
_SOON: Final = timedelta(seconds=10)
_SICK_FIRST: Final = 0.5
"""How often somebody takes care of what is in quarantine, rather than anything else."""
_CANCELLED: Final = 0.3
"""How often a timer is cancelled, rather than moved."""
_AWAITED: Final = 0.8
"""How often somebody acts on a step of which something is awaited."""

_Act = Callable[["People", UUID], Action | None]


class People:
    """Each of them does one thing, as a program of its own that may be slow, and may die.

    What they say of an effect is true: nothing is settled wrongly. `in_quarantine` tells which sagas are.
    """

    def __init__(
        self,
        stepper: Stepper,
        registry: Registry,
        watch: Watch,
        chance: Chance,
        truth: Truth,
        in_quarantine: Callable[[], list[UUID]],
    ) -> None:
        self.registry = registry
        self.truth = truth
        self.dice: Dice = chance.dice
        self._stepper = stepper
        self._watch = watch
        self._chance = chance
        self._in_quarantine = in_quarantine
        self._count = 0
        self._promised: dict[tuple[UUID, _Act], timedelta] = {}
        self._asked: set[tuple[UUID, str]] = set()
        self._stuck: set[UUID] = set()  # sagas that cannot be resumed after what somebody did meanwhile

    def meddle(self) -> None:
        """Somebody does something to some saga."""
        sick = self._in_quarantine()
        if sick and self.dice.random() < _SICK_FIRST:
            saga_id = self.dice.choice(sick)
            self._act(saga_id, _release(self, saga_id))
        elif self._watch.records:
            saga_id = self.dice.choice(self._unfinished() or list(self._watch.records))
            action = self.dice.choice(self._possible(saga_id))(self, saga_id)
            if isinstance(action, Suspend):
                later = timedelta(seconds=self.dice.uniform(1, 200))
                self._promised[saga_id, _resume] = self._stepper.loop.now + later
            self._act(saga_id, action)

    @property
    def promised(self) -> list[timedelta]:
        """When somebody will do what was promised."""
        return list(self._promised.values())

    @property
    def are_called(self) -> bool:
        """Whether somebody has promised something, or is called because of a link that is silent."""
        return bool(self._promised) or any(self.silent(saga_id) for saga_id in self._watch.records)

    def keep_promises(self) -> None:
        """Do what is due. When all is calm, what nobody but a person can do is promised for every saga."""
        now = self._stepper.loop.now
        if self._chance.calm:
            self._look_round(now + _SOON)
        for saga_id, promise in [each for each, at in self._promised.items() if at <= now]:
            del self._promised[saga_id, promise]
            self._act(saga_id, promise(self, saga_id))

    def _possible(self, saga_id: UUID) -> Sequence[_Act]:
        if self.record(saga_id).plan.chain is not None:
            return _TO_CHAINS
        return (*_ACTIONS, *(_MIGRATIONS if self.is_outdated(saga_id) else ()))

    def _unfinished(self) -> list[UUID]:
        return [saga_id for saga_id, record in self._watch.records.items() if not record.is_settled]

    def _look_round(self, later: timedelta) -> None:
        for saga_id in self._in_quarantine():
            self._promised.setdefault((saga_id, _release), later)
        for saga_id in self._unfinished():
            record = self.record(saga_id)
            if record.ledger.suspended:
                self._promised.setdefault((saga_id, _abandon if saga_id in self._stuck else _resume), later)
            elif record.stopped:
                self._promised.setdefault((saga_id, _see_to_it), later)
        for saga_id in self._watch.records:
            if self.silent(saga_id):
                self._promised.setdefault((saga_id, _ask), later)

    def _act(self, saga_id: UUID, action: Action | None) -> None:
        if action is None:
            return

        async def main(process: Process) -> None:
            store, publisher = self._stepper.ports(process)
            try:
                await act(store, publisher, self.registry, self._stepper.namespace, saga_id, action)
            except ActionRefused as refused:
                self._chance.count("refused")
                if self._chance.calm and isinstance(action, Resume) and "definition failed" in str(refused):
                    self._stuck.add(saga_id)

        self._stepper.start(action.message_id, main)

    # What they know

    def name(self) -> str:
        """The next person's request."""
        self._count += 1
        return f"person-{self._count}"

    def record(self, saga_id: UUID) -> Record:
        """What is known of the saga."""
        return self._watch.records[saga_id]

    def silent(self, saga_id: UUID) -> list[str]:
        """The links of a choreography for which a person was called, and about which none has asked."""
        record = self.record(saga_id)
        if record.plan.chain is None or record.is_over or record.ledger.suspended:
            return []
        return [name for name in record.called if (saga_id, name) not in self._asked]

    def asks(self, saga_id: UUID, link: str) -> None:
        """Once is enough: what nobody answers now, nobody ever will."""
        self._asked.add((saga_id, link))

    def soon(self) -> datetime:
        """Within the next minute, on the database's clock."""
        return self._stepper.database_clock.now() + timedelta(seconds=self.dice.uniform(0, 60))

    def step(self, saga_id: UUID) -> str:
        """A step of the saga of which something is awaited, or a timeout that a handler asked for; seldom another."""
        record = self.record(saga_id)
        awaited = [*record.awaited, *record.ledger.timeouts]
        if awaited and self.dice.random() < _AWAITED:
            return self.dice.choice(awaited)
        return self.dice.choice([*record.ledger.steps, "s0"])

    def is_outdated(self, saga_id: UUID) -> bool:
        """Whether there is a newer version of its type."""
        definition = self.record(saga_id).definition
        return self.registry.newest(definition.name).version > definition.version


def _resume(people: People, saga_id: UUID) -> Action:
    return Resume(people.name(), _WHY)


def _abandon(people: People, saga_id: UUID) -> Action:
    return Abandon(people.name(), _WHY)


def _release(people: People, saga_id: UUID) -> Action:
    return Release(people.name(), _WHY)


def _reschedule(people: People, saga_id: UUID) -> Action:
    """A timer is moved, or cancelled; not a handler's timeout, without which nobody would ever come."""
    step = people.step(saga_id)
    is_cancelled = people.dice.random() < _CANCELLED and step not in people.record(saga_id).ledger.timeouts
    return Reschedule(people.name(), _WHY, step, None if is_cancelled else people.soon())


def _migrate(people: People, saga_id: UUID) -> Action:
    definition = people.record(saga_id).definition
    return Migrate(people.name(), _WHY, to=people.registry.newest(definition.name).version)


def _settle(people: People, saga_id: UUID) -> Action | None:
    """The answer of a step, where it can be found out."""
    step = people.step(saga_id)
    answer = people.truth.answer(people.record(saga_id), step)
    if answer is None:
        return None
    outcome, reply = answer
    return Settle(people.name(), _WHY, step=step, outcome=outcome, reply=reply)


def _settle_compensation(people: People, saga_id: UUID) -> Action:
    step, undone = people.step(saga_id), Outcome.SUCCEEDED
    return Settle(people.name(), _WHY, step=step, outcome=undone, direction=Direction.COMPENSATE)


def _ask(people: People, saga_id: UUID) -> Action | None:
    """A service is asked to publish again what it has."""
    silent = people.silent(saga_id)
    if not silent:
        return None
    people.asks(saga_id, silent[0])
    return Retry(people.name(), _WHY, silent[0])


def _see_to_it(people: People, saga_id: UUID) -> Action | None:
    """What goes on only when a person says how: settled where its answer can be found out, else asked for again."""
    record = people.record(saga_id)
    if not record.stopped:
        return None
    step, direction = record.stopped[0]
    answer = None if direction is Direction.COMPENSATE else people.truth.answer(record, step)
    if answer is None:
        return Retry(people.name(), _WHY, step)
    outcome, reply = answer
    return Settle(people.name(), _WHY, step=step, outcome=outcome, reply=reply)


_ACTIONS: Final[tuple[_Act, ...]] = (
    lambda people, saga_id: Cancel(people.name(), _WHY),
    lambda people, saga_id: Cancel(people.name(), _WHY),
    lambda people, saga_id: Suspend(people.name(), _WHY),
    lambda people, saga_id: Suspend(people.name(), _WHY),
    lambda people, saga_id: Retry(people.name(), _WHY),
    lambda people, saga_id: Retry(people.name(), _WHY, people.step(saga_id)),
    lambda people, saga_id: Skip(people.name(), _WHY, step=people.step(saga_id)),
    _abandon,
    _reschedule,
    _reschedule,
    _settle,
    _settle_compensation,
)

_TO_CHAINS: Final[tuple[_Act, ...]] = (
    lambda people, saga_id: Cancel(people.name(), _WHY),
    lambda people, saga_id: Suspend(people.name(), _WHY),
    lambda people, saga_id: Retry(people.name(), _WHY, people.step(saga_id)),
    lambda people, saga_id: Skip(people.name(), _WHY, step=people.step(saga_id)),
    lambda people, saga_id: Skip(people.name(), _WHY, step=people.step(saga_id)),
    lambda people, saga_id: Skip(people.name(), _WHY, step=people.step(saga_id)),
    _abandon,
    _reschedule,
)
"""What there is to do to choreographies, whose services nobody asks for anything."""

_MIGRATIONS: Final[tuple[_Act, ...]] = (_migrate,) * 6
"""What there is to do besides for a saga of an older version."""
