"""One decision in the making: the state so far, and the events that led to it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from amends.domain import events as e
from amends.domain.announcing import Announcing
from amends.domain.choreography.chain import Chain
from amends.domain.correlation import LearntKey
from amends.domain.definition import Asking, Definition, StepDefinition, build, payload
from amends.domain.errors import VersionNotHeld
from amends.domain.evolve import evolve
from amends.domain.handlers.definition import AnyDefinition, ManagerDefinition
from amends.domain.identity import command_id, idempotency_key, published_id
from amends.domain.inputs import Action, Input
from amends.domain.messages import Event
from amends.domain.state import Line, SagaState, StepState
from amends.domain.wire import Direction, service


class Turn:
    """Records events one by one, so that every later line of a decision sees the state after the earlier."""

    def __init__(
        self,
        definition: AnyDefinition | None,
        saga_id: UUID,
        state: SagaState | None,
        given: Input,
        now: datetime,
        by: str,
    ) -> None:
        self.manager = definition if isinstance(definition, ManagerDefinition) else None
        self._definition = definition.plan(state) if isinstance(definition, ManagerDefinition) else definition
        self.events: list[e.SagaEvent] = []
        self.refused: Collection[LearntKey] = ()
        self.limited: Collection[str] = ()
        self._saga_id = saga_id
        self._state = state
        # Time never goes back in a history, even where a database's clock does.
        self.now = max(now, state.at) if state else now
        self._common: dict[str, Any] = {
            "at": self.now,
            "cause": given.message_id,
            "by": (given.by if isinstance(given, Action) else "") or by,
            "trace": given.trace or (state.trace if state else ""),
        }

    @property
    def definition(self) -> Definition:
        """The saga's definition; of a process manager, what it has sent so far. Raises `VersionNotHeld` where the saga
        is decided without.
        """
        if self._definition is None:
            raise VersionNotHeld(self.state.saga, self.state.definition)
        return self._definition

    @property
    def chain(self) -> Chain | None:
        """What is observed, where the definition is a choreography."""
        return self._definition.chain if self._definition is not None else None

    @property
    def state(self) -> SagaState:
        """The state after the events so far."""
        assert self._state is not None
        return self._state

    def replan(self) -> None:
        """A process manager sends more, or nothing more: its steps are others now."""
        assert self.manager is not None
        self._definition = self.manager.plan(self.state)

    def record(self, kind: type[e.SagaEvent], **fields: Any) -> None:
        """Append an event and apply it."""
        fields.update(self._common)
        # As `kind(...)` does, without packing the fields twice more.
        event: e.SagaEvent = kind.__pydantic_validator__.validate_python(fields)
        self._state = evolve(self._state, event, self._saga_id)
        self.events.append(event)

    def ask(self, step: StepDefinition, direction: Direction) -> bool:
        """Record the next command of this line. False where its function builds none."""
        asking = step.asking(direction)
        known = self.state.step(step.name)
        line = known.line(direction)
        open_round = line.open
        if open_round is not None:
            self._record_attempt(step.name, direction, asking, line)
            return True
        if direction is Direction.CLOSE:
            forward = known.forward.rounds[-1]
            body, subject, reply_subject = forward.payload, forward.subject, forward.reply_subject
        else:
            where = f"saga {self.definition.name!r}, {step.name!r}, {direction}"
            command = build(asking, self.definition.view(self.state), where)
            if command is None:
                return False
            body = payload(command, where)
            subject, reply_subject = command.subject, type(command).reply_type().subject
        self._record_round(known, direction, asking, body, subject, reply_subject)
        return True

    def wait(self, step: StepDefinition) -> None:
        """Begin to wait for the step's event."""
        assert step.wait is not None
        self.record(
            e.WaitStarted, step=step.name, subjects=step.wait.subjects, due=self.now + step.wait.timeout
        )

    def announce(self, step: str, announcing: Announcing) -> bool:
        """Publish an event. False where its function builds none."""
        where = f"saga {self.definition.name!r}, {step!r}"
        event = announcing.event(self.definition.view(self.state), where)
        if event is None:
            return False
        self.publish(event, where)
        return True

    def publish(self, event: Event, where: str) -> None:
        """Record that the event is to be published."""
        self.record(
            e.EventPublished,
            message_id=published_id(self._saga_id, self.state.handlers.published + 1),
            subject=event.subject,
            event=payload(event, where),
        )

    def ask_anew(self, step: StepDefinition, direction: Direction, delay: timedelta) -> None:
        """Schedule a new round after a rejection; its retries are counted from the beginning."""
        self.record(
            e.RetryScheduled,
            step=step.name,
            direction=direction,
            round=self.state.step(step.name).line(direction).rounds[-1].number + 1,
            due=self.now + delay,
            anew=True,
        )

    def retry(
        self,
        step: StepDefinition,
        direction: Direction,
        reason: str,
        *,
        after: float | None,
        hopeless: bool = False,
    ) -> None:
        """Schedule the line's next attempt, and park it where the quick ones are used up, or hopeless."""
        line = self.state.step(step.name).line(direction)
        retry = step.asking(direction).retry
        last = line.rounds[-1]
        tries = max(line.tries, retry.attempts) if hopeless else line.tries
        wait = retry.wait(tries, last.last.command_id)
        if after is not None:
            wait = max(wait, timedelta(seconds=after))
        closed = line.open is None
        self.record(
            e.RetryScheduled,
            step=step.name,
            direction=direction,
            round=last.number + closed,
            attempt=1 if closed else last.last.number + 1,
            due=self.now + wait,
        )
        if tries >= retry.attempts and not line.parked:
            self.park(step, direction, reason)

    def park(self, step: StepDefinition, direction: Direction, reason: str, *, stops: bool = False) -> None:
        """Call for a person; where it `stops`, nothing more is sent until somebody comes."""
        last = self.state.step(step.name).line(direction).rounds[-1]
        self.record(
            e.CommandParked,
            step=step.name,
            direction=direction,
            round=last.number,
            attempt=last.last.number,
            reason=reason,
            stops=stops,
        )

    def _record_attempt(self, step: str, direction: Direction, asking: Asking, line: Line) -> None:
        round_ = line.rounds[-1]
        number = round_.last.number + 1
        self.record(
            e.CommandRecorded,
            step=step,
            direction=direction,
            round=round_.number,
            attempt=number,
            command_id=command_id(self._saga_id, step, direction, round_.number, number),
            key=round_.key,
            subject=round_.subject,
            reply_subject=round_.reply_subject,
            forward_key=round_.forward_key,
            expires=self.now + asking.timeout,
            held=service(round_.subject) in self.limited,
        )

    def _record_round(
        self,
        step: StepState,
        direction: Direction,
        asking: Asking,
        body: e.JsonObject,
        subject: str,
        reply_subject: str,
    ) -> None:
        number = len(step.line(direction).rounds) + 1
        backwards = direction is not Direction.FORWARD
        self.record(
            e.CommandRecorded,
            step=step.name,
            direction=direction,
            round=number,
            attempt=1,
            command_id=command_id(self._saga_id, step.name, direction, number, 1),
            key=idempotency_key(self._saga_id, step.name, direction, number),
            subject=subject,
            reply_subject=reply_subject,
            payload=body,
            forward_key=step.forward.rounds[-1].key if backwards else None,
            expires=self.now + asking.timeout,
            held=service(subject) in self.limited,
        )
