"""What operators do at random, for hypothesis: `ACTIONS[kind](play, which)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from amends.domain.inputs import Action, Cancel, Resume, Suspend
from tests.domain.driver import Play


def _request(kind: str, play: Play) -> str:
    return f"{kind}-{len(play.history)}"


def _cancel(play: Play, _: int) -> Action:
    return Cancel("cancel-1", "changed my mind")


def _suspend(play: Play, _: int) -> Action:
    return Suspend(_request("suspend", play), "an outage")


def _resume(play: Play, _: int) -> Action:
    return Resume(_request("resume", play), "it is over")


ACTIONS: Final[Mapping[str, Callable[[Play, int], Action]]] = {
    "cancel": _cancel,
    "suspend": _suspend,
    "resume": _resume,
}
