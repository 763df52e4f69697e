"""What was found, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from amends.domain.events import JsonObject


class Health(StrEnum):
    """How bad it is: nothing; a person should look; sagas cannot go on, or data is missing."""

    WELL = "well"
    ATTENTION = "attention"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `mend` is what to do, empty where it is well."""

    about: str
    health: Health
    told: str
    mend: str = ""

    def as_json(self) -> JsonObject:
        return asdict(self)


def well(about: str, told: str) -> Finding:
    """As it should be."""
    return Finding(about, Health.WELL, told)


def attention(about: str, told: str, mend: str) -> Finding:
    """Somebody should look at it."""
    return Finding(about, Health.ATTENTION, told, mend)


def broken(about: str, told: str, mend: str) -> Finding:
    """It must be mended."""
    return Finding(about, Health.BROKEN, told, mend)
