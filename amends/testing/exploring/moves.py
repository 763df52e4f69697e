"""What can happen to a saga next: every answer, every timer, the deadline, and a person who cancels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic_core import to_json

from amends.domain.definition import Definition
from amends.domain.inputs import Cancel, Input, Reply, Start, Tick
from amends.domain.state import Line, SagaState, Status, StepState
from amends.domain.wire import Direction, Outcome
from amends.testing.exploring.likeness import NOW, SOON, with_timers
from amends.testing.exploring.samples import samples

CANCEL: Final = "cancelled"
DEADLINE: Final = "the deadline passes"
NO_ANSWER: Final = "no answer"
RETRY: Final = "asked again"

_WHAT: Final = {Direction.FORWARD: "{}", Direction.COMPENSATE: "undoing {}", Direction.CLOSE: "closing {}"}


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that can happen, ready to be decided. `what` is the outcome, or one of the words above."""

    step: str
    direction: Direction
    what: str
    given: Input
    state: SagaState | None
    now: datetime = NOW

    @classmethod
    def start(cls, given: Start) -> Move:
        """The first move."""
        return cls("", Direction.FORWARD, f"{given.subject} starts it", given, None)

    def __str__(self) -> str:
        if not self.step:
            return self.what
        return f"{doing(self.direction, self.step)}: {self.what}"


def doing(direction: Direction, step: str) -> str:
    """What a service is asked: `ship`, `undoing ship`, `closing ship`."""
    return _WHAT[direction].format(step)


class Moves:
    """All moves of a definition's states; the samples of its replies are made up once."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._place = {step.name: place for place, step in enumerate(definition.steps)}
        askings = (a for step in definition.steps for a in (step.forward, step.compensation) if a)
        commands = {command for asking in askings for command in asking.commands}
        self._replies: Mapping[str, Sequence[bytes]] = {
            command.subject: [to_json(body) for body in samples(command.reply_type())] for command in commands
        }

    def of(self, state: SagaState) -> Sequence[Move]:
        """Every move that has to be explored from this state.

        Where nothing can change the saga's direction any more, what happens on one step neither allows nor
        prevents anything on another: every order leads to the same, and one order is enough.
        """
        active = list(state.active())
        if self._one_by_one(state) and active:
            first = min(active, key=lambda item: self._place[item[0].name])[0]
            moves = [m for item in active if item[0] is first for m in self._of_line(state, *item)]
            return [*moves, *self._late(state, [first]), *self._of_saga(state)]
        steps = list(state.steps.values())
        return [
            *(move for item in active for move in self._of_line(state, *item)),
            *self._late(state, steps),
            *self._of_saga(state),
        ]

    def _one_by_one(self, state: SagaState) -> bool:
        if state.status is Status.COMPENSATING:
            return not any(self._may_wake(step) for step in state.steps.values())
        pivot = self._definition.pivot
        return pivot is not None and state.step(pivot.name).done

    def _may_wake(self, step: StepState) -> bool:
        """Passed over, because there was nothing to compensate; a late success would have it decided again."""
        compensable = self._definition.step(step.name).compensation is not None
        return step.passed_over and compensable and step.forward.open is not None

    def _of_line(self, state: SagaState, step: StepState, direction: Direction, line: Line) -> Iterator[Move]:
        if line.open is not None:
            yield from self._answers(state, step, direction, line)
        if direction is Direction.CLOSE:
            yield from self._answers(state, step, Direction.FORWARD, step.forward)
        if line.due is not None:
            what = RETRY if line.in_flight is None else NO_ANSWER
            timed = with_timers(state, (step.name, direction))
            yield Move(step.name, direction, what, Tick(), timed, SOON)

    def _answers(self, state: SagaState, step: StepState, direction: Direction, line: Line) -> Iterator[Move]:
        round_ = line.rounds[-1]
        if round_.answer is not None:
            return
        yield from self._definite(state, step, direction, line)
        for attempt in {round_.attempts[0], round_.last}:
            if Outcome.FAILED not in attempt.outcomes:
                yield self._reply(state, step, direction, attempt.command_id, Outcome.FAILED)

    def _definite(
        self, state: SagaState, step: StepState, direction: Direction, line: Line
    ) -> Iterator[Move]:
        round_ = line.rounds[-1]
        for body in self._replies[round_.subject]:
            yield self._reply(state, step, direction, round_.last.command_id, Outcome.SUCCEEDED, body)
        yield self._reply(state, step, direction, round_.last.command_id, Outcome.REJECTED)

    def _late(self, state: SagaState, steps: Sequence[StepState]) -> Iterator[Move]:
        """The answer of a step that was given up without one."""
        for step in steps:
            if step.given_up and step.forward.open is not None:
                yield from self._definite(state, step, Direction.FORWARD, step.forward)

    def _of_saga(self, state: SagaState) -> Iterator[Move]:
        if state.deadline_due is not None:
            timed = with_timers(state, deadline=True)
            yield Move("", Direction.FORWARD, DEADLINE, Tick(), timed, SOON)
        pivot = self._definition.pivot
        refused = pivot is not None and state.step(pivot.name).done
        if state.status is Status.RUNNING and not state.cancelled and not refused:
            yield Move("", Direction.FORWARD, CANCEL, Cancel("cancel", "somebody wants it undone"), state)

    def _reply(
        self,
        state: SagaState,
        step: StepState,
        direction: Direction,
        command: UUID,
        outcome: Outcome,
        body: bytes = b"{}",
    ) -> Move:
        given = Reply(
            f"{command}/{outcome}",
            command,
            outcome,
            body,
            reason="" if outcome is Outcome.SUCCEEDED else "no",
        )
        return Move(step.name, direction, str(outcome), given, state)
