"""The programs of a simulation: workers, and the services around them. One that died starts again after a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from amends.domain.handlers.definition import AnyDefinition
from amends.domain.limits import Limit
from amends.infrastructure.chance import Dice
from amends.testing.simulation.defects import defective
from amends.testing.simulation.faults import Chance
from amends.testing.stepper import Stepper

WORKER: Final = "worker"


class Program(NamedTuple):
    """A program with a given number of replicas at the most; `start` starts one under the name that it is given.

    One that was there `before` stands before anything else begins, as a service that reacts to events must.
    """

    name: str
    replicas: int
    start: Callable[[str], object]
    before: bool = False


class Crew:
    """One to three workers, and one or more replicas of each of the other programs.

    Of a type with several versions, a worker holds the oldest, the newest or all, until `deploy`.
    """

    def __init__(
        self,
        stepper: Stepper,
        definitions: Sequence[AnyDefinition],
        chance: Chance,
        limits: Sequence[Limit],
        others: Sequence[Program],
    ) -> None:
        self._stepper = stepper
        self._definitions = definitions
        self._chance = chance
        self._dice: Dice = chance.dice
        self._limits = limits
        self._programs = {
            f"{program.name}-{number}": program
            for program in (Program(WORKER, 3, self._work), *others)
            for number in range(1, self._dice.randint(1, program.replicas) + 1)
        }
        self.restarts: dict[str, timedelta] = {}
        """When those start again that are dead."""

    def start(self) -> None:
        """Start all of them."""
        self._chance.calm = True
        for name in (name for name, program in self._programs.items() if program.before):
            self._start(name)
        self._stepper.settle()
        self._chance.calm = False
        for name in (name for name, program in self._programs.items() if not program.before):
            self._start(name)

    def restart_dead(self, now: timedelta) -> None:
        """Start those whose time has come; the others' time is chosen."""
        for name in self._programs:
            alive = name in self._stepper.processes and self._stepper.processes[name].alive
            if not alive and name not in self.restarts:
                self.restarts[name] = now + timedelta(seconds=self._dice.uniform(0, 30))
        for name in [each for each, at in self.restarts.items() if at <= now]:
            del self.restarts[name]
            self._start(name)

    def deploy(self) -> None:
        """Nothing goes wrong any more: every worker holds every version."""
        if len({each.name for each in self._definitions}) < len(self._definitions):
            for name in self._programs:
                if name.startswith(WORKER) and name in self._stepper.processes:
                    self._stepper.kill(name)

    def _start(self, name: str) -> None:
        self._programs[name].start(name)

    def _work(self, name: str) -> None:
        held = [defective(each, self._chance) for each in self._held()]
        size = self._dice.choice((1, 5, 200))
        self._stepper.worker(name, held, batch_size=size, limits=self._limits)

    def _held(self) -> list[AnyDefinition]:
        """The versions that a worker holds which starts now."""
        chosen: list[AnyDefinition] = []
        for name in dict.fromkeys(each.name for each in self._definitions):
            versions = [each for each in self._definitions if each.name == name]
            some = self._dice.choice((versions, versions[:1], versions[-1:]))
            chosen += versions if self._chance.calm else some
        return chosen
