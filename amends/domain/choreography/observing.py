"""The observer's decisions: it asks nobody for anything, and follows a chain by the events that pass by.

Each link is a step that waits for its event from the moment that the event before it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from amends.domain import events as e
from amends.domain.choreography.chain import Chain, Link, Overdue
from amends.domain.choreography.republishing import republish_request
from amends.domain.errors import ActionRefused
from amends.domain.messages import Event
from amends.domain.policy import LONGEST
from amends.domain.state import Kept, SagaState, Status
from amends.domain.turn import Turn

_HEARS: Final = (Status.RUNNING, Status.COMPENSATING, Status.COMPLETED)


def follow(turn: Turn, chain: Chain) -> bool:
    """Go as far as the events that came lead. True where something was recorded."""
    match turn.state.status:
        case Status.RUNNING:
            return _onwards(turn, chain)
        case Status.COMPENSATING:
            return _backwards(turn, chain)
        case Status.COMPLETED:
            return _reopen(turn, chain)
        case _:
            return False


def nobody_cares(turn: Turn, chain: Chain, subject: str) -> str:
    """Why an event on this subject can mean nothing to the chain any more; empty where it can."""
    status = turn.state.status
    if _came(turn, chain, subject):
        return "it came before"
    undoes = subject in chain.turning or any(link.publishes.subject == subject for link in chain.compensation)
    if status not in _HEARS or (status is not Status.RUNNING and not undoes):
        return f"the chain is {status}"
    return ""


def overdue(turn: Turn, chain: Chain, name: str) -> None:
    """The link's event did not come in time."""
    link = chain.link(name)
    wait = turn.state.step(name).wait
    asked_before = wait is not None and wait.again
    turn.record(e.WaitTimedOut, step=name)
    if link.overdue is Overdue.COMPENSATE:
        turn_back(turn, chain, _silent(link))
    elif link.overdue is Overdue.REPUBLISH and not asked_before:
        _ask(turn, chain, link)
        _wait(turn, link, turn.now + _patience(turn, link))
    else:
        turn.record(e.WaitParked, step=name, reason=_silent(link))


def turn_back(turn: Turn, chain: Chain, reason: str) -> None:
    """Publish the compensating event. Raises `ActionRefused` where the definition names none."""
    _publish_compensating_event(turn, chain)
    _give_up(turn, chain, reason)


def compensating_event(turn: Turn, chain: Chain) -> Event:
    """The event by which the chain is turned back. Raises `ActionRefused` where the definition names none."""
    event = chain.compensating_event(turn.state.key)
    if event is None:
        raise ActionRefused(
            f"expected a choreography with compensate_with= to turn back; {turn.definition.name}@"
            f"{turn.definition.version} names no such event"
        )
    return event


def ask_again(turn: Turn, chain: Chain, name: str, reason: str) -> None:
    """Ask, for an operator, that a link's service publish again what it has, and wait once more."""
    link = chain.link(name)
    turn.record(e.TimerRescheduled, step=name, due=turn.now + _patience(turn, link), reason=reason)
    _ask(turn, chain, link)


def effects(state: SagaState, chain: Chain) -> Iterator[str]:
    """The links whose service did its part, and has not told that it is undone."""
    undone = {link.service for link in chain.compensation if state.step(link.name).done}
    for link in chain.forward:
        if state.step(link.name).succeeded and link.service not in undone:
            yield link.name


def _onwards(turn: Turn, chain: Chain) -> bool:
    turning = _turning(turn, chain)
    if turning is not None:
        _give_up(turn, chain, f"{turning.subject} came")
        return True
    if _advance(turn, chain, chain.forward):
        return True
    if all(turn.state.step(link.name).done for link in chain.forward):
        turn.record(e.SagaCompleted)
    return False


def _backwards(turn: Turn, chain: Chain) -> bool:
    if _advance(turn, chain, chain.compensation):
        return True
    begun = [known for link in chain.compensation if (known := turn.state.step(link.name)).begun]
    if all(known.decided for known in begun):
        turn.record(e.SagaCompensated)
    return False


def _reopen(turn: Turn, chain: Chain) -> bool:
    """Services undo what they did whenever they hear of it, so a chain that was at its end turns back as well."""
    turning = _turning(turn, chain)
    if turning is None:
        return False
    turn.record(e.SagaReopened, reason=f"{turning.subject} came after its end")
    return True


def _advance(turn: Turn, chain: Chain, links: Iterable[Link]) -> bool:
    moved = False
    for link in links:
        known = turn.state.step(link.name)
        if known.decided:
            continue
        if not known.begun and _before(turn, chain, link):
            _wait(turn, link, _limit(turn, link))
            moved = True
        kept = _kept(turn, {link.publishes.subject})
        if kept is not None and turn.state.step(link.name).begun:
            turn.record(e.WaitSucceeded, step=link.name, message_id=kept.message_id)
            moved = True
    return moved


def _wait(turn: Turn, link: Link, due: datetime) -> None:
    turn.record(e.WaitStarted, step=link.name, subjects=(link.publishes.subject,), due=due)


def _limit(turn: Turn, link: Link) -> datetime:
    """When the link is overdue: after its own time, and forwards when the whole chain is."""
    own = turn.now + (link.within or LONGEST)
    deadline = turn.state.deadline_due
    return own if deadline is None or link.compensating else min(own, deadline)


def _give_up(turn: Turn, chain: Chain, reason: str) -> None:
    """Nothing is expected forwards any more."""
    for link in chain.forward:
        known = turn.state.step(link.name)
        if known.begun and not known.decided:
            turn.record(e.StepGivenUp, step=link.name, reason=reason)
    turn.record(e.CompensationStarted, reason=reason)


def _ask(turn: Turn, chain: Chain, link: Link) -> None:
    """Ask the link's service to publish again what it has; it has nothing where the observer's own event got lost."""
    after = _before(turn, chain, link)
    is_own = chain.compensate_with is not None and after == chain.compensate_with.subject
    if is_own and _kept(turn, {after}) is None:
        _publish_compensating_event(turn, chain)
        return
    request = republish_request(link.service)(key=turn.state.key, after=after)
    turn.publish(request, f"choreography {turn.definition.name!r}, {link.name!r}")


def _publish_compensating_event(turn: Turn, chain: Chain) -> None:
    turn.publish(compensating_event(turn, chain), f"choreography {turn.definition.name!r}")


def _patience(turn: Turn, link: Link) -> timedelta:
    return link.within or turn.definition.deadline or LONGEST


def _silent(link: Link) -> str:
    return (
        f"{link.service} did not publish {link.publishes.subject} in time; "
        "it may have crashed between its transaction and its event"
    )


def _turning(turn: Turn, chain: Chain) -> Kept | None:
    """An event that came and turns the chain back."""
    return _kept(turn, chain.turning)


def _turned_by(turn: Turn, chain: Chain) -> frozenset[str]:
    """The subjects of the events that turned it back; where none came, it is the one that the observer published."""
    came = frozenset(kept.subject for kept in turn.state.kept) & chain.turning
    own = [chain.compensate_with.subject] if chain.compensate_with is not None else []
    return came or frozenset(own)


def _kept(turn: Turn, subjects: Iterable[str]) -> Kept | None:
    wanted = frozenset(subjects)
    return next((kept for kept in turn.state.kept if kept.subject in wanted), None)


def _before(turn: Turn, chain: Chain, link: Link) -> str:
    """The subject of the event after which it is the link's turn; empty while it is not."""
    subjects = (event.subject for event in link.after)
    return next((subject for subject in subjects if _is_next(turn, chain, subject)), "")


def _is_next(turn: Turn, chain: Chain, subject: str) -> bool:
    if subject in chain.turning:
        return subject in _turned_by(turn, chain)
    return subject == turn.state.subject or _done(turn, chain, subject)


def _came(turn: Turn, chain: Chain, subject: str) -> bool:
    """Whether an event on this subject came, or an operator went on without it."""
    return subject == turn.state.subject or _kept(turn, {subject}) is not None or _done(turn, chain, subject)


def _done(turn: Turn, chain: Chain, subject: str) -> bool:
    return any(link.publishes.subject == subject and turn.state.step(link.name).done for link in chain.links)
