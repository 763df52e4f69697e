"""One simulation: a system with some sagas, played to its end with what goes wrong in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final

from amends.infrastructure.chance import Dice
from amends.infrastructure.ports import Outgoing
from amends.participant.handlers import Handlers
from amends.process_managers.registry import Registry
from amends.testing.services import ServiceDatabase
from amends.testing.simulation.crew import Crew, Program
from amends.testing.simulation.faults import EVERY, Chance, Fault, Trouble
from amends.testing.simulation.foreign import ForeignServices
from amends.testing.simulation.limits import limited
from amends.testing.simulation.people import People
from amends.testing.simulation.ports import WatchedBroker, WatchedStore
from amends.testing.simulation.reacting import ReactingService, reacting_services
from amends.testing.simulation.scenarios import draw
from amends.testing.simulation.services import Services
from amends.testing.simulation.truth import Truth
from amends.testing.simulation.watch import Watch
from amends.testing.simulation.world import Occasion, World
from amends.testing.stepper import Stepper
from amends.testing.virtual_time import EPOCH

_TURNS: Final = (20_000, 200)
"""More moves than any simulation needs, and so many for each saga: one that goes on for longer does not settle."""

_PATIENCE: Final = timedelta(days=30)
"""Virtual time after the last fault in which everything must have settled."""

_STILL: Final = timedelta(hours=2)
"""Virtual time in which somebody takes up what lies about, where nothing else is to come.

What was committed while the database's clock was ahead seems to be too fresh to be taken up until then.
"""

_GATE_FIRST: Final = 0.95
"""How often somebody goes on who waits at a gate, rather than time."""

_SOON: Final = timedelta(seconds=15)


@dataclass(frozen=True)
class Plan:
    """What is simulated: all else follows from it."""

    seed: int
    sagas: int = 10
    minutes: float = 5.0
    """Virtual time in which sagas start and faults happen."""
    package: str = "amends.examples"
    """Where saga types are looked for."""
    scenarios: tuple[str, ...] = ()
    """Names of saga types, and `random`; without any, all there are."""
    faults: Collection[Fault] = EVERY


@dataclass
class Result:
    """What became of a simulation."""

    plan: Plan
    broken: list[str] = field(default_factory=list[str])
    trace: str = ""
    statuses: dict[str, int] = field(default_factory=dict[str, int])
    happened: dict[str, int] = field(default_factory=dict[str, int])
    sagas: int = 0
    events: int = 0
    recorded: dict[str, int] = field(default_factory=dict[str, int])
    """How many events of each type."""


def simulate(plan: Plan) -> Result:
    """Play it to its end, or until an invariant is broken."""
    return Simulation(plan).run()


class Simulation:
    """A stepper with workers, services, people, and dice that decide what happens next."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.dice = Dice(plan.seed)
        drawn = draw(self.dice, plan.package, plan.scenarios)
        self.definitions, self.limits = limited(Dice(f"{plan.seed} limits"), drawn)
        self.chance = Chance(self.dice, Trouble.drawn(self.dice, plan.faults))
        self.registry = Registry(self.definitions)
        self.watch = Watch(self.registry, "sim")
        self.stepper = Stepper(
            namespace="sim",
            chooser=self.chance,
            broker=lambda clock: WatchedBroker(clock, self.watch, self.chance),
            store=lambda clock: WatchedStore(clock, self.watch),
        )
        self.broker: WatchedBroker = self.stepper.broker  # type: ignore[assignment]
        self.store: WatchedStore = self.stepper.store  # type: ignore[assignment]
        self.watch.keeps = self.store.keeps
        self.database = ServiceDatabase(self.stepper.clock)
        self.database.committed = self.watch.served
        self.watch.answered = self.database.tables.answered.__contains__
        self.faulty_until = timedelta(minutes=plan.minutes)
        self.abroad = ForeignServices(self.definitions, "sim", self.chance, self._publish_later)
        self.watch.has_done = self.abroad.has_done
        self.reacting = reacting_services(
            self.definitions, plan.package, lambda: ServiceDatabase(self.stepper.clock)
        )
        self.watch.chains.watch(self.definitions, self.reacting)
        self.crew = Crew(self.stepper, self.definitions, self.chance, self.limits, list(self._programs()))
        self._still_since = timedelta(0)
        truth = Truth(self.database.tables.keys.get, self.abroad.has_done, self._is_quiet)
        self.people = People(
            self.stepper, self.registry, self.watch, self.chance, truth, lambda: self.store.in_quarantine
        )
        self.world = World(self.definitions, "sim", self.chance)
        self._occasions: list[Occasion] = self.world.occasions(plan.sagas, self.faulty_until * 0.7)
        self._published: list[Occasion] = []

    def _programs(self) -> Iterator[Program]:
        """All that runs beside the workers."""
        services = Services(self.definitions, self.chance, self.watch.action)
        if services.subjects():
            yield Program("services", 2, lambda name: self.stepper.participant(name, services, self.database))
        if self.abroad.subjects:
            foreign = self.abroad
            yield Program(
                "foreign", 1, lambda name: self.stepper.foreign(name, foreign.subjects, foreign.handle)
            )
        for each in self.reacting:
            yield Program(each.name, 2, partial(self._start_reacting, each), before=True)

    def _start_reacting(self, service: ReactingService, name: str) -> None:
        self.stepper.participant(name, Handlers(), service.database, service.reactions(self.chance))

    def run(self) -> Result:
        """Play it to its end, or until an invariant is broken."""
        try:
            self._play()
        finally:  # an interrupt, too, leaves no program behind that waits for ever
            self.stepper.close()
        return self._result()

    def _play(self) -> None:
        self.crew.start()
        most = _TURNS[0] + _TURNS[1] * self.plan.sagas
        for _ in range(most):
            if self._turn():
                break
        else:
            self.watch.broken.append(f"it does not settle in {most} moves")
        if not self.watch.broken:
            self._end()

    # One move after the other

    def _turn(self) -> bool:
        """Make a move; True where the simulation is over."""
        self.stepper.loop.run_ready()
        if self.stepper.loop.errors:
            self.watch.broken.append(f"a program broke: {self.stepper.loop.errors[0]!r}")
        if self.watch.broken:
            return True
        if not self.chance.calm:
            self._trouble()
        waiting = self.stepper.gates.waiting
        if waiting and self.dice.random() < _GATE_FIRST:
            self.stepper.gates.open(self.dice.randrange(len(waiting)))
            return False
        return self._pass_time(held=bool(waiting))

    def _pass_time(self, *, held: bool) -> bool:
        """Go on to the next moment at which something happens; True where nothing will."""
        now = self.stepper.loop.now
        if not held and self.chance.calm and self._is_settled():
            return True
        moments = self._moments()
        if moments or held:
            self._still_since = now
        if now > min(self.faulty_until + _PATIENCE, self._still_since + _STILL):
            self.watch.broken.append(f"it does not settle: {self._unsettled()}")
            return True
        moment = self._next_moment(now, moments)
        self.stepper.loop.move_to(moment)
        self.crew.restart_dead(moment)
        self._publish(moment)
        self.people.keep_promises()
        if moment >= self.faulty_until and not self.chance.calm:
            self._calm()
        return False

    def _moments(self) -> list[timedelta]:
        """When something will happen, or should have."""
        waking = (self.broker.next_redelivery(), self.store.next_wake_up, self.store.limits.next_release)
        moments = [moment - EPOCH for moment in waking if moment is not None]
        moments += [
            *self.crew.restarts.values(),
            *(each.at for each in self._occasions),
            *self.people.promised,
        ]
        if not self.chance.calm:
            moments.append(self.faulty_until)
        return moments

    def _next_moment(self, now: timedelta, moments: Sequence[timedelta]) -> timedelta:
        """When the next timer falls due; where that is only somebody looking round, when he will find something."""
        timer = self.stepper.loop.next_timer
        coming = min((moment for moment in moments if moment > now), default=timer or now)
        if timer is None:
            return coming
        overdue = not moments or min(moments) <= now or not self._is_published
        return timer if overdue or coming - timer < _SOON else coming

    # What goes wrong

    def _trouble(self) -> None:
        chance, dice = self.chance, self.dice
        if chance.strikes(Fault.CLOCK):
            self.watch.one_clock = False
            self.stepper.database_clock.ahead = timedelta(seconds=dice.choice((-3600, -20, 0, 7, 600)))
        if chance.strikes(Fault.CLOCK, 0.3):
            self.stepper.jump(timedelta(seconds=dice.choice((3, 40, 600))))
        if chance.strikes(Fault.LOSS, 0.02):
            self._lose(dice.choice(("commands", "events", "sagas", "dead")))
        if chance.strikes(Fault.PEOPLE, 0.1):
            self.people.meddle()

    def _lose(self, stream: str) -> None:
        """The stream is gone; who put starts into it has an outbox, and publishes them again."""
        if self.broker.has(stream):
            self.stepper.lose(stream)
        if stream == "events":
            again, self._published = self._published, []
            later = self.stepper.loop.now + timedelta(seconds=self.dice.uniform(10, 30))
            self._occasions += [replace(occasion, at=later) for occasion in again]

    def _calm(self) -> None:
        """From here on nothing goes wrong any more."""
        self.chance.calm = True
        self.stepper.database_clock.ahead = timedelta(0)
        self.crew.deploy()
        self._occasions += self.world.last_word(self.plan.sagas, self.stepper.loop.now)

    # What comes from outside

    def _publish_later(self, later: timedelta, message: Outgoing) -> None:
        self._occasions.append(Occasion(self.stepper.loop.now + later, message))

    def _publish(self, now: timedelta) -> None:
        due = [occasion for occasion in self._occasions if occasion.at <= now]
        self._occasions = [occasion for occasion in self._occasions if occasion.at > now]
        for occasion in due:
            if self.broker.has("events"):
                self._published.append(occasion)
                self.broker.store(occasion.message)
            else:
                self._occasions.append(replace(occasion, at=now + timedelta(seconds=5)))

    # The end

    def _is_settled(self) -> bool:
        return (
            not (self.people.are_called or self.store.in_quarantine)
            and all(record.is_settled for record in self.watch.records.values())
            and self._is_quiet()
        )

    def _is_quiet(self) -> bool:
        """Whether no message is on its way, and none will be by itself but for a timer."""
        return not (self._occasions or self.crew.restarts) and self.broker.is_handled and self._is_published

    @property
    def _is_published(self) -> bool:
        databases = (self.database, *(each.database for each in self.reacting))
        return self.store.is_published and all(each.is_published for each in databases)

    def _unsettled(self) -> str:
        open_ = [record.name for record in self.watch.records.values() if not record.is_settled]
        return ", ".join(open_) or "messages that nobody handles"

    def _end(self) -> None:
        self.watch.ended(quiet=True)

    def _result(self) -> Result:
        result = Result(self.plan, self.watch.broken, self.watch.trace, happened=self.chance.happened)
        for record in self.watch.records.values():
            status = record.ledger.status
            result.statuses[status] = result.statuses.get(status, 0) + 1
        result.sagas, result.events = len(self.watch.records), self.watch.events.total()
        result.recorded = dict(self.watch.events)
        return result
