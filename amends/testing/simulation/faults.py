"""What goes wrong in a simulation, and how often: decided by the seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from amends.infrastructure.chance import Dice
from amends.testing.processes import Move


class Fault(StrEnum):
    """A kind of trouble that can be switched off by itself, to find what a failure needs."""

    CRASH = "crash"
    """Workers and participants die at any call or probe, and start again some time later."""
    DELAY = "delay"
    """A call takes its time, while others go on."""
    DELIVERY = "delivery"
    """Deliveries and acknowledgements get lost, so messages come again, later and in another order."""
    DUPLICATE = "duplicate"
    """Messages are stored twice, beyond the broker's duplicate window."""
    LOSS = "loss"
    """The broker loses messages that it had acknowledged: single ones, and whole streams."""
    CLOCK = "clock"
    """The database's clock jumps; the whole machine is suspended for a while."""
    SERVICE = "service"
    """Services refuse, fail, break, or do their work and then fail."""
    PEOPLE = "people"
    """Somebody acts on a saga; a start comes twice, or differs from the first."""
    DEFECT = "defect"
    """A definition has a bug: what it cannot decide goes into quarantine."""


EVERY: Final = frozenset(Fault)

_RATES: Final[Mapping[Fault, tuple[float, ...]]] = {
    Fault.CRASH: (0.001, 0.004, 0.015),
    Fault.DELAY: (0.02, 0.1, 0.4),
    Fault.DELIVERY: (0.01, 0.05, 0.2),
    Fault.DUPLICATE: (0.01, 0.05, 0.3),
    Fault.LOSS: (0.002, 0.01, 0.05),
    Fault.CLOCK: (0.001, 0.005, 0.01),
    Fault.SERVICE: (0.02, 0.1, 0.3),
    Fault.PEOPLE: (0.05, 0.2, 0.5),
    Fault.DEFECT: (0.002, 0.01, 0.05),
}


@dataclass(frozen=True)
class Trouble:
    """How often each kind of fault happens in one simulation, as a probability for each occasion."""

    rates: Mapping[Fault, float]

    @classmethod
    def drawn(cls, dice: Dice, faults: Collection[Fault]) -> Trouble:
        """Some of these kinds, each seldom or often: simulations with few kinds of faults go deeper into each."""
        rates: dict[Fault, float] = {}
        for fault in Fault:
            rate = dice.choice((0.0, *_RATES[fault]))
            rates[fault] = rate if fault in faults else 0.0
        return cls(rates)


class Chance:
    """Rolls the dice for every occasion, until `calm` is set: from then on nothing goes wrong any more.

    It is the `Chooser` of the simulation's programs.
    """

    def __init__(self, dice: Dice, trouble: Trouble) -> None:
        self.dice = dice
        self.calm = False
        self.happened: dict[str, int] = {}
        self._rates = trouble.rates
        self._crash = trouble.rates[Fault.CRASH]
        self._crash_or_delay = self._crash + trouble.rates[Fault.DELAY]

    def strikes(self, fault: Fault, share: float = 1.0) -> bool:
        """Whether it happens now; `share` makes one of several forms of a fault rarer than the others."""
        rate = self._rates[fault]
        if self.calm or not rate or self.dice.random() >= rate * share:
            return False
        self.count(fault)
        return True

    def count(self, what: str) -> None:
        """Note that it happened."""
        self.happened[what] = self.happened.get(what, 0) + 1

    def at(self, program: str, label: str) -> Move:
        """What happens to a program at a gate."""
        if self.calm or not self._crash_or_delay:
            return Move.PASS
        roll = self.dice.random()
        if roll >= self._crash_or_delay:
            return Move.PASS
        if roll < self._crash:
            return self._die()
        self.count(Fault.DELAY)
        return Move.WAIT

    def dies_at(self, program: str, probe: str) -> bool:
        """Whether a program dies at a probe."""
        if self.calm or not self._crash or self.dice.random() >= self._crash:
            return False
        return self._die() is Move.DIE

    def _die(self) -> Move:
        self.count(Fault.CRASH)
        return Move.DIE
