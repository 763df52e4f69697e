"""What operators do at random, for hypothesis: `ACTIONS[kind](play, which)`. They tell the truth, and look first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from amends.domain.inputs import Abandon, Action, Cancel, Reschedule, Resume, Retry, Settle, Skip, Suspend
from amends.domain.wire import Direction, Outcome
from tests.domain.driver import Play
from tests.domain.world import World


def _request(kind: str, play: Play) -> str:
    return f"{kind}-{len(play.history)}"


def _some(play: Play, which: int) -> str:
    """The name of some step."""
    steps = play.definition.steps
    return steps[which % len(steps)].name


def _cancel(play: Play, _world: World, _which: int) -> Action:
    return Cancel("cancel-1", "changed my mind")


def _suspend(play: Play, _world: World, _which: int) -> Action:
    return Suspend(_request("suspend", play), "an outage")


def _resume(play: Play, _world: World, _which: int) -> Action:
    return Resume(_request("resume", play), "it is over")


def _retry(play: Play, _world: World, which: int) -> Action:
    return Retry(_request("retry", play), "it is back", "" if which == 0 else _some(play, which))


def _skip(play: Play, _world: World, which: int) -> Action:
    return Skip(_request("skip", play), "not needed", step=_some(play, which))


def _settle(play: Play, world: World, which: int) -> Action:
    """The operator sees to it that the service knows, and says what it knows."""
    step = play.state.step(_some(play, which))
    outcome = world.close(step.forward.rounds[-1].key if step.forward.rounds else play.id)
    return Settle(
        _request("settle", play), "called them", step=step.name, outcome=outcome, reply={"what": "it"}
    )


def _undo(play: Play, world: World, which: int) -> Action:
    """The operator undoes at the service whatever it did."""
    step = play.state.step(_some(play, which))
    for round_ in step.forward.rounds if play.status == "compensating" and not step.settled else ():
        world.undo(round_.key)
    outcome = Outcome.SUCCEEDED
    request = _request("undo", play)
    return Settle(request, "called them", step=step.name, outcome=outcome, direction=Direction.COMPENSATE)


def _reschedule(play: Play, _world: World, which: int) -> Action:
    due = None if which == 0 else play.now + timedelta(seconds=which * 3)
    return Reschedule(_request("reschedule", play), "later", "" if which > 3 else _some(play, which), due)


def _abandon(play: Play, _world: World, _which: int) -> Action:
    return Abandon(_request("abandon", play), "enough")


ACTIONS: Final[Mapping[str, Callable[[Play, World, int], Action]]] = {
    "cancel": _cancel,
    "suspend": _suspend,
    "resume": _resume,
    "retry": _retry,
    "skip": _skip,
    "settle": _settle,
    "undo": _undo,
    "reschedule": _reschedule,
    "abandon": _abandon,
}
