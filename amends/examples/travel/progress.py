"""What a traveller is told, at every step, of a trip by the vendors' rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_HOLD: Final = {"done": "held for you", "undone": "released", "undone in case it happened": "released"}
_CAR: Final = (("confirm_car", {"done": "yours"}), ("hold_car", _HOLD))
_HOTEL: Final = (("capture_hotel", {"done": "yours"}), ("preauthorise_hotel", _HOLD))
_FLIGHT: Final = (
    (
        "book_flight",
        {"done": "yours", "asked whether it happened": "being closed", "given up": "not booked"},
    ),
)


def progress(standing: Mapping[str, Any]) -> dict[str, str]:
    """A word on the car, the hotel and the flight, out of what `amends show --json` tells of the saga."""
    steps: Mapping[str, str] = standing["steps"]
    return {
        thing: _word(steps, stages)
        for thing, stages in (("car", _CAR), ("hotel", _HOTEL), ("flight", _FLIGHT))
    }


def _word(steps: Mapping[str, str], stages: tuple[tuple[str, Mapping[str, str]], ...]) -> str:
    """What is told of the latest stage that has a word of its own; else where the first one stands."""
    for step, words in stages:
        stands, _, _ = steps[step].partition(":")  # what follows is why
        if stands in words:
            return words[stands]
    return steps[stages[-1][0]]
