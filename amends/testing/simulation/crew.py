"""The programs of a simulation: workers, participants, foreign services. One that died starts again after a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from amends.domain.handlers.definition import AnyDefinition
from amends.domain.limits import Limit
from amends.infrastructure.chance import Dice
from amends.testing.services import ServiceDatabase
from amends.testing.simulation.defects import defective
from amends.testing.simulation.faults import Chance
from amends.testing.simulation.foreign import ForeignServices
from amends.testing.simulation.services import Services
from amends.testing.stepper import Stepper


class Crew:
    """One to three workers, one or two replicas of a participant for all commands, a service that is foreign.

    Of a type with several versions, a worker holds the oldest, the newest or all, until `deploy`.
    """

    def __init__(
        self,
        stepper: Stepper,
        definitions: Sequence[AnyDefinition],
        chance: Chance,
        services: Services,
        database: ServiceDatabase,
        abroad: ForeignServices,
        limits: Sequence[Limit],
    ) -> None:
        self._stepper = stepper
        self._definitions = definitions
        self._chance = chance
        self._dice: Dice = chance.dice
        self._services = services
        self._database = database
        self._abroad = abroad
        self._limits = limits
        self._names = [
            *(f"worker-{number}" for number in range(1, self._dice.randint(1, 3) + 1)),
            *(f"services-{number}" for number in range(1, self._dice.randint(1, 2) + 1)),
            *(["foreign"] if abroad.subjects else []),
        ]
        self.restarts: dict[str, timedelta] = {}
        """When those start again that are dead."""

    def start(self) -> None:
        """Start all of them."""
        for name in self._names:
            self._start(name)

    def restart_dead(self, now: timedelta) -> None:
        """Start those whose time has come; the others' time is chosen."""
        for name in self._names:
            alive = name in self._stepper.processes and self._stepper.processes[name].alive
            if not alive and name not in self.restarts:
                self.restarts[name] = now + timedelta(seconds=self._dice.uniform(0, 30))
        for name in [each for each, at in self.restarts.items() if at <= now]:
            del self.restarts[name]
            self._start(name)

    def deploy(self) -> None:
        """Nothing goes wrong any more: every worker holds every version."""
        if len({each.name for each in self._definitions}) < len(self._definitions):
            for name in self._names:
                if name.startswith("worker") and name in self._stepper.processes:
                    self._stepper.kill(name)

    def _start(self, name: str) -> None:
        if name.startswith("worker"):
            held = [defective(each, self._chance) for each in self._held()]
            size = self._dice.choice((1, 5, 200))
            self._stepper.worker(name, held, batch_size=size, limits=self._limits)
        elif name.startswith("services"):
            self._stepper.participant(name, self._services, self._database)
        else:
            self._stepper.foreign(name, self._abroad.subjects, self._abroad.handle)

    def _held(self) -> list[AnyDefinition]:
        """The versions that a worker holds which starts now."""
        chosen: list[AnyDefinition] = []
        for name in dict.fromkeys(each.name for each in self._definitions):
            versions = [each for each in self._definitions if each.name == name]
            some = self._dice.choice((versions, versions[:1], versions[-1:]))
            chosen += versions if self._chance.calm else some
        return chosen
