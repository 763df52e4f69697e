"""What can happen to a saga next: every answer and event, every timer, the deadline, and a person who cancels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final, TypeAlias

from pydantic_core import to_json

from amends.domain.definition import AnyCommand, Definition
from amends.domain.foreign import ForeignAnswers
from amends.domain.handlers.definition import AnyDefinition, subject_of_success
from amends.domain.inputs import Cancel, Input
from amends.domain.messages import Event
from amends.domain.state import Attempt, Line, SagaState, Status, StepState, Wait
from amends.domain.told import Arrival, Reply, Tick
from amends.domain.wire import Direction, Outcome
from amends.testing.exploring.likeness import OUTSIDE, plan_of
from amends.testing.exploring.samples import choices
from amends.testing.exploring.timers import NOW, SOON, Kind, Timer, with_timers

_Bodies: TypeAlias = Sequence[tuple[str, bytes]]
"""Samples of a message, each with what it differs in from the first."""

_WHAT: Final = {Direction.FORWARD: "{}", Direction.COMPENSATE: "undoing {}", Direction.CLOSE: "closing {}"}


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that can happen, ready to be decided: to a step, or where it is not named to the saga."""

    what: str
    given: Input
    state: SagaState | None
    step: str = ""
    direction: Direction = Direction.FORWARD
    now: datetime = NOW

    def __str__(self) -> str:
        return f"{doing(self.direction, self.step)}: {self.what}" if self.step else self.what


def doing(direction: Direction, step: str) -> str:
    """What a service is asked: `ship`, `undoing ship`, `closing ship`."""
    return _WHAT[direction].format(step)


class Moves:
    """All moves of a definition's states; the samples of messages are made up once."""

    def __init__(self, definition: AnyDefinition) -> None:
        self._definition = definition
        self._numbers = count(1)
        self._replies = {command.subject: _bodies(command.reply_type()) for command in _commands(definition)}
        self._events = {each.event.subject: _bodies(each.event) for each in definition.listens}
        self._outside = _outside(definition)

    def of(self, state: SagaState) -> Sequence[Move]:
        """Every move that has to be explored from this state.

        Where nothing can change the saga's direction any more, what happens on one step neither allows nor
        prevents anything on another: every order leads to the same, and one order is enough.
        """
        plan = plan_of(self._definition, state)
        known = [state.step(step.name) for step in plan.steps]
        asked = {step.name: (direction, line) for step, direction, line in state.active()}
        waits = {step.name: wait for step, wait in state.waits()}
        if self._one_by_one(plan, state):
            known = [step for step in known if step.name in asked or step.name in waits][:1] or known
        moves = [
            move
            for step in known
            for move in self._of_step(plan, state, step, asked.get(step.name), waits.get(step.name))
        ]
        return [*moves, *self._early(plan, state), *self._of_handlers(state), *self._of_saga(plan, state)]

    def calling(self, state: SagaState) -> Sequence[Move]:
        """Every move that calls a handler of a process manager, or lets it turn back."""
        if state.status is not Status.RUNNING:
            return ()
        plan = plan_of(self._definition, state)
        asked = [(step, direction, line) for step, direction, line in state.active() if line.open is not None]
        answers = [move for each in asked for move in self._definite(plan, state, *each)]
        return [*answers, *self._of_handlers(state)]

    def _one_by_one(self, plan: Definition, state: SagaState) -> bool:
        if state.status is Status.COMPENSATING:
            return not any(_may_wake(plan, step) for step in state.steps.values())
        return plan is self._definition and _passed(plan, state)

    def _of_step(
        self,
        plan: Definition,
        state: SagaState,
        step: StepState,
        asked: tuple[Direction, Line] | None,
        wait: Wait | None,
    ) -> Iterator[Move]:
        if asked is not None:
            yield from self._of_line(plan, state, step, *asked)
        if wait is not None:
            yield from self._of_wait(state, step, wait)
        if step.given_up and step.forward.open is not None:
            yield from self._definite(plan, state, step, Direction.FORWARD, step.forward)

    def _of_line(
        self, plan: Definition, state: SagaState, step: StepState, direction: Direction, line: Line
    ) -> Iterator[Move]:
        if line.open is not None:
            yield from self._answers(plan, state, step, direction, line)
        if direction is Direction.CLOSE and step.forward.open is not None:
            yield from self._answers(plan, state, step, Direction.FORWARD, step.forward)
        if line.due is not None:
            what = "asked again" if line.in_flight is None else "no answer"
            yield _time(state, Timer(Kind.LINE, step.name, direction), what, step.name)

    def _of_wait(self, state: SagaState, step: StepState, wait: Wait) -> Iterator[Move]:
        yield from self._arrivals(state, step.name, wait.subjects)
        if wait.due is not None:
            yield _time(state, Timer(Kind.WAIT, step.name), "nothing comes", step.name)

    def _answers(
        self, plan: Definition, state: SagaState, step: StepState, direction: Direction, line: Line
    ) -> Iterator[Move]:
        yield from self._definite(plan, state, step, direction, line)
        round_ = line.rounds[-1]
        foreign = _foreign(plan, step, direction)
        if foreign is not None:
            yield from self._told(state, step, direction, foreign, Outcome.FAILED)
            return
        for attempt in dict.fromkeys((round_.attempts[0], round_.last)):
            if Outcome.FAILED not in attempt.outcomes:
                yield _reply(state, step, direction, attempt, Outcome.FAILED)

    def _definite(
        self, plan: Definition, state: SagaState, step: StepState, direction: Direction, line: Line
    ) -> Iterator[Move]:
        round_ = line.rounds[-1]
        foreign = _foreign(plan, step, direction)
        if foreign is not None:
            yield from self._told(state, step, direction, foreign, Outcome.SUCCEEDED)
            yield from self._told(state, step, direction, foreign, Outcome.REJECTED)
            return
        for said, body in self._replies[round_.subject]:
            yield _reply(state, step, direction, round_.last, Outcome.SUCCEEDED, body, said)
        yield _reply(state, step, direction, round_.last, Outcome.REJECTED)

    def _told(
        self,
        state: SagaState,
        step: StepState,
        direction: Direction,
        foreign: ForeignAnswers,
        outcome: Outcome,
    ) -> Iterator[Move]:
        """A foreign service answers, by an event of its own."""
        for each, meaning in foreign.meanings:
            if meaning is outcome:
                for said, body in self._events[each.event.subject]:
                    event = self._arrival(each.event.subject, body)
                    yield Move(f"{outcome}{said}", event, state, step.name, direction)

    def _early(self, plan: Definition, state: SagaState) -> Iterator[Move]:
        """Events that come before the step that waits for them."""
        if state.status is not Status.RUNNING:
            return
        for step in plan.steps:
            if step.wait is not None and not state.step(step.name).begun:
                yield from self._arrivals(state, "", step.wait.subjects)

    def _arrivals(self, state: SagaState, step: str, subjects: Sequence[str]) -> Iterator[Move]:
        """Each event, unless one like it is kept already."""
        kept = {(each.subject, to_json(each.event)) for each in state.kept}
        for subject in subjects:
            for said, body in self._events[subject]:
                if (subject, body) not in kept:
                    yield Move(f"{subject} comes{said}", self._arrival(subject, body), state, step)

    def _of_handlers(self, state: SagaState) -> Iterator[Move]:
        """What calls the handlers of a process manager: events, each kind once, and timeouts."""
        if state.status is not Status.RUNNING or state.handlers.completing:
            return
        for name in state.handlers.timeouts:
            yield _time(state, Timer(Kind.TIMEOUT, name), f"timeout {name}")
        for subject, bodies in self._outside.items():
            for number, (said, body) in enumerate(bodies):
                identity = f"{OUTSIDE}{subject}/{number}"
                if identity not in state.handlers.handled:
                    yield Move(f"{subject} comes{said}", Arrival(identity, subject, body), state)

    def _of_saga(self, plan: Definition, state: SagaState) -> Iterator[Move]:
        if state.deadline_due is not None:
            yield _time(state, Timer(Kind.DEADLINE), "the deadline passes")
        if state.status is Status.RUNNING and not state.cancelled and not _passed(plan, state):
            yield Move("cancelled", Cancel("cancel", "somebody wants it undone"), state)

    def _arrival(self, subject: str, body: bytes) -> Arrival:
        return Arrival(f"{subject}#{next(self._numbers)}", subject, body)


def _time(state: SagaState, timer: Timer, what: str, step: str = "") -> Move:
    return Move(what, Tick(), with_timers(state, timer), step, timer.direction, SOON)


def _reply(
    state: SagaState,
    step: StepState,
    direction: Direction,
    attempt: Attempt,
    outcome: Outcome,
    body: bytes = b"{}",
    said: str = "",
) -> Move:
    reason = "" if outcome is Outcome.SUCCEEDED else "no"
    given = Reply(f"{attempt.command_id}/{outcome}", attempt.command_id, outcome, body, reason=reason)
    return Move(f"{outcome}{said}", given, state, step.name, direction)


def _may_wake(plan: Definition, step: StepState) -> bool:
    """Settled, and a late success would have it decided again: its service had nothing to undo, or is foreign."""
    definition = plan.step(step.name)
    settled = step.passed_over or (definition.forward.foreign is not None and step.compensation.succeeded)
    return settled and definition.compensation is not None and step.forward.open is not None


def _passed(plan: Definition, state: SagaState) -> bool:
    """The pivot is done."""
    return plan.pivot is not None and state.step(plan.pivot.name).done


def _foreign(plan: Definition, step: StepState, direction: Direction) -> ForeignAnswers | None:
    return None if direction is Direction.CLOSE else plan.step(step.name).asking(direction).foreign


def _commands(definition: AnyDefinition) -> set[type[AnyCommand]]:
    if not isinstance(definition, Definition):
        return set(definition.sends.values())
    askings = (a for step in definition.steps for a in (step.forward, step.compensation) if a)
    return {command for asking in askings for command in asking.commands}


def _outside(definition: AnyDefinition) -> Mapping[str, _Bodies]:
    """The events that come to a process manager by themselves, and not as answers."""
    if isinstance(definition, Definition):
        return {}
    answers = {subject_of_success(command) for command in definition.sends.values()}
    heard = {each.event.subject: each.event for each in definition.listens}
    return {subject: _bodies(event) for subject, event in heard.items() if subject not in answers}


def _bodies(kind: type[Event]) -> _Bodies:
    return [(said, to_json(body)) for said, body in choices(kind)]
