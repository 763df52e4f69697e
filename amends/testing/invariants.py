"""The invariants of a saga, checked over its history and over what its participants did.

Each function returns what is broken, one sentence each, beginning with the invariant's number in
docs/semantics.md. Nothing here asks the core what it thinks: the order of the steps is reckoned anew too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from amends.domain import events as e
from amends.domain.definition import Definition, StepDefinition
from amends.domain.errors import BrokenHistory
from amends.domain.evolve import fold
from amends.domain.history import Recorded, read, verify
from amends.domain.state import SagaState
from amends.domain.wire import Direction
from amends.testing.ledger import Ledger, Step


class Deed(StrEnum):
    """What can become of a forward key in its participant."""

    DONE = "done"
    UNDONE = "undone"
    BURIED = "buried"  # a tombstone
    REJECTED = "rejected"


@dataclass(frozen=True)
class Fact:
    """One thing that a participant did with a forward key."""

    key: UUID
    deed: Deed


_NEXT = {
    "": {"running"},
    "running": {"compensating", "completed", "failed"},
    "compensating": {"compensated", "failed"},
    "completed": set(),
    "compensated": {"compensating"},
    "failed": set(),
}


def of_history(definition: Definition, history: Sequence[Recorded], *older: Definition) -> list[str]:
    """What is broken in the history: invariants 6 to 9, 13 and 15. `older` are versions that it migrated from."""
    ledger = Ledger()
    versions = {each.version: each for each in older}
    broken: list[str] = []
    for recorded in history:
        broken += of_event(versions.get(ledger.definition, definition), ledger, recorded.event)
    return [*broken, *of_rest(definition, ledger), *_of_order(history)]


def of_rest(definition: Definition, ledger: Ledger) -> list[str]:
    """What is broken when a decision is over: what is held for nothing, or left to compensate at the end."""
    idle = [f"10: {name} is held, and nobody wants it" for name in _held_for_nothing(ledger)]
    if ledger.status != "compensated":
        return idle
    open_ = (
        step.name for step in definition.steps if step.compensation and not ledger.step(step.name).settled
    )
    return [*idle, *(f"6: compensated, and {name} happened after all" for name in open_)]


def _held_for_nothing(ledger: Ledger) -> Iterator[str]:
    for name, step in ledger.steps.items():
        forwards = step.forward.held or step.lines[Direction.CLOSE].held
        if forwards and (ledger.status != "running" or step.done or step.given_up):
            yield name
        if step.lines[Direction.COMPENSATE].held and (ledger.status != "compensating" or step.settled):
            yield name


def of_event(definition: Definition, ledger: Ledger, event: e.SagaEvent, *, timed: bool = True) -> list[str]:
    """What is broken in one more event: invariants 6 to 9, 13 and 15; the ledger takes it into account.

    Where times are made up (not `timed`), invariant 15 is left out.
    """
    broken: list[str] = []
    before = ledger.status
    broken += _of_command(definition, ledger, event)
    broken += _of_limits(ledger, event)
    broken += _of_released(definition, event) if timed else ()
    broken += _of_suspension(ledger, event)
    broken += _of_handlers(ledger, event)
    broken += _of_the_way_back(definition, ledger, event)
    broken += _of_wait(definition, ledger, event)
    if timed:
        broken += _of_time(ledger, event)
    ledger.add(event)
    reopened = {"compensating"} if definition.chain is not None and before == "completed" else set[str]()
    if ledger.status not in _NEXT[before] | {before} | reopened:
        broken.append(f"13: from {before} to {ledger.status}")
    broken += _of_end(definition, ledger, event)
    return broken


def of_wake_up(state: SagaState, history: Sequence[Recorded]) -> list[str]:
    """What is broken in when the saga is to be looked at again: invariant 12."""
    ledger = Ledger()
    for recorded in history:
        ledger.add(recorded.event)
    return of_ledger_wake_up(state, ledger)


def of_ledger_wake_up(state: SagaState, ledger: Ledger) -> list[str]:
    """The same, for a ledger that has seen the whole history."""
    if state.wake_up != ledger.wake_up:
        return [f"12: the state wakes up at {state.wake_up}, its history says {ledger.wake_up}"]
    waits_on = ledger.suspended or ledger.stopped or ledger.parked or ledger.handles or ledger.held
    if not (state.status.final or waits_on) and ledger.wake_up is None:
        return [f"12: {state.status} and never looked at again"]
    return []


def of_live_state(state: SagaState, history: Sequence[Recorded]) -> list[str]:
    """What is broken in the live state: invariant 14, for which the stored bytes alone are read."""
    stored = [read(r.originator_id, r.originator_version, r.topic, r.stored) for r in history]
    folded = fold((r.event for r in stored), state.id)
    return [] if folded == state else ["14: the live state is not the fold of the stored bytes"]


def of_effects(
    definition: Definition, history: Sequence[Recorded], facts: Sequence[Fact], *, quiet: bool
) -> list[str]:
    """What is broken between history and effects: invariants 1 to 5. `quiet`: no message is in flight."""
    ledger = Ledger()
    for recorded in history:
        ledger.add(recorded.event)
    broken = [*_of_keys(facts)]
    net = {name: _net(facts, [r.key for r in step.forward.rounds]) for name, step in ledger.steps.items()}
    for step in definition.steps:
        if step.forward.foreign is not None:
            continue  # it promises nothing of its effects
        known = ledger.step(step.name)
        broken += _of_net(ledger.status, known, step, net.get(step.name, 0), quiet=quiet)
    pivots = [s.name for s in definition.steps if s.pivot]
    compensated = any(s.lines[Direction.COMPENSATE].rounds for s in ledger.steps.values())
    if compensated and not ledger.contradictions and any(net.get(name) for name in pivots):
        broken.append("5: the pivot took effect, and something was compensated")
    return broken


def _of_net(status: str, known: Step, step: StepDefinition, net: int, *, quiet: bool) -> Iterator[str]:
    unresolved = known.skipped and bool(known.forward.rounds)  # an operator skipped it, whatever became of it
    if (
        status == "completed"
        and not unresolved
        and net
        != (0 if known.skipped or not step.forward.commands or (step.tolerated and known.rejected) else 1)
    ):
        yield f"3: completed, and {step.name} has {net} effects"
    excepted = known.passed_over or known.by_hand
    if status == "compensated" and quiet and step.compensation and not excepted and net:
        yield f"4: compensated, and {step.name} has an effect"


def _of_keys(facts: Sequence[Fact]) -> Iterator[str]:
    for key in {fact.key for fact in facts}:
        deeds = [fact.deed for fact in facts if fact.key == key]
        done, undone = deeds.count(Deed.DONE), deeds.count(Deed.UNDONE)
        if done > 1 or undone > done:
            yield f"1: key {key} took effect {done} times and was undone {undone} times"
        for deed in (Deed.BURIED, Deed.REJECTED):
            if deed in deeds and Deed.DONE in deeds[deeds.index(deed) :]:
                yield f"2: key {key} took effect after it was {deed}"
        if Deed.REJECTED in deeds and Deed.DONE in deeds:
            yield f"2: key {key} was rejected and took effect"


def _net(facts: Sequence[Fact], keys: Sequence[UUID]) -> int:
    deeds = [fact.deed for fact in facts if fact.key in keys]
    return deeds.count(Deed.DONE) - deeds.count(Deed.UNDONE)


def _of_command(definition: Definition, ledger: Ledger, event: e.SagaEvent) -> Iterator[str]:
    if not isinstance(event, e.CommandRecorded):
        return
    step = definition.step(event.step)
    known = ledger.step(event.step)
    if event.direction is Direction.COMPENSATE:
        later = _later(definition, event.step)
        if step.pivot or _pivot(definition) not in (None, *later):
            yield f"6: {event.step} is the pivot or comes after it, and is compensated"
        if not (known.owes or known.lines[event.direction].rounds):
            yield f"6: {event.step} has nothing to compensate"
        later |= _sent_later(ledger, event.step)
        unsettled = [name for name in later if not (definition.step(name).pivot or ledger.step(name).settled)]
        if event.round == event.attempt == 1 and unsettled:
            yield f"7: {event.step} is compensated before what came after it is settled"
    else:
        if ledger.status != "running":
            yield f"8: {event.step} is asked {event.direction} while {ledger.status}"
        if not all(_over(definition, ledger, name) for name in step.after):
            yield f"8: {event.step} is asked before its predecessors are done"
        if event.direction is Direction.FORWARD and known.lines[Direction.CLOSE].rounds:
            yield f"8: {event.step} is asked while it is closed"
        if event.direction is Direction.CLOSE and not (step.pivot and known.forward.rounds):
            yield f"8: {event.step} is closed, and is no pivot that was asked"
    yield from _of_round(ledger, event)
    yield from _of_declared_rounds(definition, event)


def _of_declared_rounds(definition: Definition, event: e.CommandRecorded) -> Iterator[str]:
    """Before the pivot a rejection counts after the rounds that are declared."""
    declared = 1 + len(definition.step(event.step).forward.ask_again)
    pivot = _pivot(definition)
    goes_on = pivot is not None and event.step in _later(definition, pivot)
    if event.direction is Direction.FORWARD and event.round > declared and not goes_on:
        yield f"9: {event.step} is asked in round {event.round}, and {declared} are declared"


def _of_limits(ledger: Ledger, event: e.SagaEvent) -> Iterator[str]:
    if not isinstance(event, e.CommandReleased | e.CommandWithdrawn):
        return
    line = ledger.step(event.step).lines[event.direction]
    if not line.held or (event.round, event.attempt) != (len(line.rounds), len(line.rounds[-1].attempts)):
        yield f"10: {event.step} {event.direction} is released or withdrawn, and was not held"
    if isinstance(event, e.CommandReleased):
        expected = "compensating" if event.direction is Direction.COMPENSATE else "running"
        if ledger.status != expected or ledger.suspended:
            yield f"8: {event.step} {event.direction} is released while {ledger.status}, or suspended"


def _of_released(definition: Definition, event: e.SagaEvent) -> Iterator[str]:
    """The time of an attempt that was held begins when it leaves."""
    if not isinstance(event, e.CommandReleased):
        return
    step = definition.step(event.step)
    asking = step.compensation if event.direction is Direction.COMPENSATE else step.forward
    if asking is not None and event.expires < event.at + asking.timeout:
        yield f"15: {event.step} {event.direction} is released with less time than it has"


def _of_wait(definition: Definition, ledger: Ledger, event: e.SagaEvent) -> Iterator[str]:
    came = isinstance(event, e.EventReceived | e.EventPassedOver | e.EventTakenForAnswer)
    if came and event.cause in ledger.came:
        yield f"11: the event {event.cause} is recorded twice"
    if not isinstance(
        event, e.WaitStarted | e.WaitSucceeded | e.WaitRejected | e.WaitTimedOut | e.WaitParked
    ):
        return
    step = definition.step(event.step)
    known = ledger.step(event.step)
    if (
        ledger.status != ("compensating" if event.step in _undoing(definition) else "running")
        or known.given_up
    ):
        yield f"8: {event.step} waits while {ledger.status}, or after it was given up"
    if isinstance(event, e.WaitStarted):
        if not all(ledger.step(name).done for name in step.after):
            yield f"8: {event.step} waits before its predecessors are done"
    elif not known.waits:
        yield f"8: {event.step} does not wait"
    if isinstance(event, e.WaitSucceeded | e.WaitRejected):
        subject = ledger.kept.get(event.message_id)
        if step.wait is None or subject not in step.wait.subjects:
            yield f"11: {event.step} consumes an event that is not kept for it"


def _of_the_way_back(definition: Definition, ledger: Ledger, event: e.SagaEvent) -> Iterator[str]:
    pivot = _pivot(definition) if isinstance(event, e.CompensationStarted) else None
    if pivot is None:
        return
    if ledger.step(pivot).done:
        yield f"5: it turns back after the pivot {pivot} is done"
    elif ledger.step(pivot).forward.rounds and not (
        ledger.step(pivot).rejected or ledger.step(pivot).forward.unsent or ledger.contradictions
    ):
        yield f"5: it turns back while nobody knows whether the pivot {pivot} took effect"


def _of_suspension(ledger: Ledger, event: e.SagaEvent) -> Iterator[str]:
    if ledger.suspended and isinstance(event, e.CommandRecorded):
        yield f"8: {event.step} is asked {event.direction} while suspended"


def _of_handlers(ledger: Ledger, event: e.SagaEvent) -> Iterator[str]:
    if isinstance(event, e.EventHandled | e.SendRequested | e.TimeoutFired) and ledger.status != "running":
        yield f"8: a handler decides while {ledger.status}"


def _of_round(ledger: Ledger, event: e.CommandRecorded) -> Iterator[str]:
    rounds = ledger.step(event.step).lines[event.direction].rounds
    where = f"9: {event.step} {event.direction} round {event.round} attempt {event.attempt}"
    if event.attempt > 1:
        round_ = rounds[-1] if rounds else None
        if round_ is None or (event.round, event.attempt) != (len(rounds), len(round_.attempts) + 1):
            yield f"{where}: does not follow"
        elif (event.key, event.subject) != (round_.key, round_.subject) or event.payload is not None:
            yield f"{where}: another key, subject or payload than its first attempt"
        elif round_.succeeded or round_.rejected:
            yield f"{where}: its round is answered"
        return
    if event.payload is None or event.round != len(rounds) + 1:
        yield f"{where}: does not follow, or has no payload"
    if rounds and not (rounds[-1].rejected or ledger.step(event.step).reopened):
        yield f"{where}: the round before was not rejected"
    every = (r for s in ledger.steps.values() for line in s.lines.values() for r in line.rounds)
    if event.key in {r.key for r in every}:
        yield f"{where}: its key was used before"


def _of_time(ledger: Ledger, event: e.SagaEvent) -> Iterator[str]:
    if isinstance(event, e.CommandTimedOut):
        line = ledger.step(event.step).lines[event.direction]
        if line.held or event.at < line.rounds[event.round - 1].attempts[event.attempt]:
            yield f"15: {event.step} timed out before its time"
    elif isinstance(event, e.CommandRecorded) and (event.attempt > 1 or event.round > 1):
        due = ledger.step(event.step).lines[event.direction].due
        if due is not None and event.at < due:
            yield f"15: {event.step} is tried again before its delay is over"
    elif isinstance(event, e.WaitTimedOut):
        due = ledger.step(event.step).wait_due
        if due is None or event.at < due:
            yield f"15: {event.step} stopped waiting before its time"
    elif isinstance(event, e.DeadlinePassed) and (ledger.deadline is None or event.at < ledger.deadline):
        yield "15: the deadline passed before its time"


def _of_end(definition: Definition, ledger: Ledger, event: e.SagaEvent) -> Iterator[str]:
    if isinstance(event, e.SagaCompleted) and not all(
        _over(definition, ledger, step.name)
        for step in definition.steps
        if step.name not in _undoing(definition)
    ):
        yield "3: completed before every step is done"
    if not isinstance(event, e.SagaCompensated):
        return
    pivot = _pivot(definition)
    for step in definition.steps:
        before_pivot = pivot is None or pivot in _later(definition, step.name)
        if before_pivot and not ledger.step(step.name).settled:
            yield f"6: compensated, and {step.name} is not settled"
        if ledger.step(step.name).waits:
            yield f"6: compensated, and {step.name} still waits"


def _over(definition: Definition, ledger: Ledger, name: str) -> bool:
    """The saga may go on behind the step."""
    known = ledger.step(name)
    return known.done or (definition.step(name).tolerated and known.given_up and known.rejected)


def _undoing(definition: Definition) -> set[str]:
    """The links of a choreography that undo."""
    return {link.name for link in definition.chain.compensation} if definition.chain is not None else set()


def _pivot(definition: Definition) -> str | None:
    return next((step.name for step in definition.steps if step.pivot), None)


def _later(definition: Definition, step: str) -> set[str]:
    """Every step that comes after this one, directly or not."""
    later = {step}
    for other in definition.steps:  # declared in an order that they can run in
        if later & set(other.after):
            later.add(other.name)
    return later - {step}


def _sent_later(ledger: Ledger, step: str) -> set[str]:
    """What handlers sent after this."""
    return set(ledger.sends[ledger.sends.index(step) + 1 :]) if step in ledger.sends else set()


def _of_order(history: Sequence[Recorded]) -> Iterator[str]:
    try:
        verify(list(history))
    except BrokenHistory as error:
        yield f"13: {error}"
    times = [recorded.event.at for recorded in history]
    if times != sorted(times):
        yield "13: time goes back"
