"""What is recorded: the events of a saga's history, frozen, with stable names and a schema version."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from amends.domain.wire import Direction, Outcome

JsonObject: TypeAlias = dict[str, Any]

EVENT_TYPES: dict[str, type[SagaEvent]] = {}
"""Every recorded event type by its stable name."""


class SagaEvent(BaseModel):
    """One thing that happened to a saga.

    `at` is the database's time; `cause` the id of the message that led to it, or what else did (`timer`);
    `by` the worker, or the operator; `trace` the W3C trace context that it happened in.
    """

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str]
    schema_version: ClassVar[int] = 1

    at: datetime
    cause: str
    by: str
    trace: str = ""

    def __init_subclass__(cls, *, type: str = "", **kwargs: Any) -> None:  # noqa: A002 - reads best where events are declared
        super().__init_subclass__(**kwargs)
        if type:
            cls.type = type
            EVENT_TYPES[type] = cls


class SagaStarted(SagaEvent, type="saga.started"):
    saga: str
    definition: int  # the version of the definition
    namespace: str
    key: str
    subject: str
    start: JsonObject
    deadline: datetime | None = None


class StartRefused(SagaEvent, type="saga.start-refused"):
    """Another start message came for a key that is taken."""

    reason: str


class SagaCompleted(SagaEvent, type="saga.completed"):
    pass


class CompensationStarted(SagaEvent, type="saga.compensating"):
    reason: str


class SagaCompensated(SagaEvent, type="saga.compensated"):
    """All that had to be undone is undone; `by_hand` are the steps of which an operator said so."""

    by_hand: tuple[str, ...] = ()


class SagaReopened(SagaEvent, type="saga.reopened"):
    """A step took effect after the saga was compensated without it, so that it must be compensated too."""

    reason: str
    step: str = ""


class DeadlinePassed(SagaEvent, type="saga.deadline-passed"):
    pass


class OperatorAction(SagaEvent):
    """What is common to the events by which an operator acts: `by` is who, `reason` why, `cause` the request."""

    reason: str


class CancelRequested(OperatorAction, type="saga.cancel-requested"):
    pass


class SagaSuspended(OperatorAction, type="saga.suspended"):
    """From here on answers are recorded, and nothing follows from them until the saga is resumed."""


class SagaResumed(OperatorAction, type="saga.resumed"):
    pass


class EventReceived(SagaEvent, type="event.received"):
    """An event came, whose id is `cause`; it is kept until a step that waits for it consumes it."""

    subject: str
    event: JsonObject


class EventHandled(SagaEvent, type="event.handled"):
    """A handler was told of an event, or of an answer, whose id is `cause`.

    `changed` are the fields of the state that the handler changed, with their new values; `event` is left out
    where the answer is recorded already.
    """

    subject: str
    event: JsonObject = {}
    changed: JsonObject = {}


class EventPassedOver(SagaEvent, type="event.passed-over"):
    """An event came when it could mean nothing to the saga any more."""

    subject: str
    reason: str


class EventPublished(SagaEvent, type="event.published"):
    """The intent to publish an event; it leaves after this is committed."""

    message_id: UUID
    subject: str
    event: JsonObject


class TimeoutRequested(SagaEvent, type="timeout.requested"):
    name: str
    due: datetime


class TimeoutCancelled(SagaEvent, type="timeout.cancelled"):
    name: str


class TimeoutFired(SagaEvent, type="timeout.fired"):
    """`changed` as in `EventHandled`."""

    name: str
    changed: JsonObject = {}


class CompletionRequested(SagaEvent, type="completion.requested"):
    """A handler has nothing more to decide; the saga completes when all that it sent is answered."""


class KeyLearnt(SagaEvent, type="key.learnt"):
    """Events find the saga by this further key, too."""

    name: str
    value: str


class KeyClashed(SagaEvent, type="key.clashed"):
    """A further key belongs to another saga already, so events do not find this one by it; a person should look."""

    name: str
    value: str


class SagaMigrated(OperatorAction, type="saga.migrated"):
    """The saga goes on under version `definition`; `steps` are those that have another name there, by the old one."""

    definition: int
    steps: dict[str, str] = {}


class SagaReleased(OperatorAction, type="saga.released"):
    """It could not be decided, and was in quarantine; what is held for it is tried again."""


class UnresolvedKey(BaseModel):
    """A key of which nobody knows whether the command under it took effect."""

    model_config = ConfigDict(frozen=True)

    step: str
    direction: Direction
    key: UUID


class SagaFailed(OperatorAction, type="saga.failed"):
    """An operator gave up on what was left; nothing more is asked, and a person must see to the rest.

    `effects` are the steps that took effect and were not undone, `unresolved` the keys that nobody answered for.
    """

    effects: tuple[str, ...] = ()
    unresolved: tuple[UnresolvedKey, ...] = ()


class TimerRescheduled(OperatorAction, type="timer.rescheduled"):
    """The timer of a step, or without one the deadline, now falls due at `due`."""

    step: str = ""
    direction: Direction = Direction.FORWARD
    due: datetime


class TimerCancelled(OperatorAction, type="timer.cancelled"):
    """The timer of a step, or without one the deadline, no longer falls due at all."""

    step: str = ""
    direction: Direction = Direction.FORWARD


class OfStep(SagaEvent):
    """What is common to the events of one step."""

    step: str


class StepSkipped(OfStep, type="step.skipped"):
    pass


class StepSkippedByHand(OfStep, OperatorAction, type="step.skipped-by-hand"):
    """The saga goes on behind the step. If a command was recorded, it may have happened, and counts so."""


class StepSettledByHand(OfStep, OperatorAction, type="step.settled-by-hand"):
    """An operator says what became of a step, or that what it did is undone."""

    direction: Direction = Direction.FORWARD
    outcome: Outcome
    reply: JsonObject = {}


class RetryRequested(OfStep, OperatorAction, type="command.retry-requested"):
    direction: Direction = Direction.FORWARD


class StepGivenUp(OfStep, type="step.given-up"):
    reason: str


class CompensationPassedOver(OfStep, type="step.compensation-passed-over"):
    reason: str


class CompensationReopened(OfStep, type="step.compensation-reopened"):
    """The step took effect, or may have, after its compensation was sent, so that it is compensated once more."""

    reason: str


class RetryPolicy(BaseModel):
    """A retry policy as it is recorded: without defaults, so that it means the same for ever."""

    model_config = ConfigDict(frozen=True)

    attempts: int
    delay: timedelta
    factor: float
    cap: timedelta
    slow: timedelta


class SendRequested(OfStep, type="send.requested"):
    """A handler sends a command, which from here on is a step: with all that is needed to ask and to undo it."""

    subject: str
    payload: JsonObject
    timeout: timedelta
    retry: RetryPolicy
    pivot: bool = False
    undo_subject: str = ""
    undo_payload: JsonObject = {}


class WaitStarted(OfStep, type="wait.started"):
    subjects: tuple[str, ...]
    due: datetime


class WaitSucceeded(OfStep, type="wait.succeeded"):
    """`message_id` names the event, as it was received."""

    message_id: str


class WaitRejected(OfStep, type="wait.rejected"):
    """The event that was waited for says no."""

    message_id: str


class WaitTimedOut(OfStep, type="wait.timed-out"):
    """Nothing was asked of anybody, so this is definite: it counts as a rejection."""


class WaitParked(OfStep, type="wait.parked"):
    """It waits on without a limit: a person should look."""

    reason: str


class StepAnnounced(OfStep, type="step.announced"):
    """The event that the step is for has been published."""


class OfCommand(OfStep):
    """What is common to the events of one attempt of a command."""

    direction: Direction = Direction.FORWARD
    round: int = 1
    attempt: int = 1


class CommandRecorded(OfCommand, type="command.recorded"):
    """The intent to send a command; it leaves after this is committed.

    `payload` is fixed at the first attempt of a round, and only recorded there. One that is `held` leaves only when
    the limits of its service allow: its time begins with `CommandReleased`.
    """

    command_id: UUID
    key: UUID
    subject: str
    reply_subject: str
    payload: JsonObject | None = None
    forward_key: UUID | None = None
    expires: datetime
    held: bool = False


class CommandReleased(OfCommand, type="command.released"):
    """A held command leaves after this is committed; an answer is awaited until `expires`."""

    expires: datetime


class CommandWithdrawn(OfCommand, type="command.withdrawn"):
    """A held command never leaves: nobody wants it any more."""


class EventTakenForAnswer(OfStep, type="event.taken-for-answer"):
    """An event of a foreign service, whose id is `cause`, was taken for the answer that is recorded before this."""

    direction: Direction = Direction.FORWARD
    subject: str


class CommandSucceeded(OfCommand, type="command.succeeded"):
    reply: JsonObject = {}


class CommandRejected(OfCommand, type="command.rejected"):
    """`retry_after` is how many seconds the service asks to be left in peace."""

    code: str = ""
    reason: str = ""
    details: Any = None
    retry_after: float | None = None


class CommandFailed(OfCommand, type="command.failed"):
    """`retry_after` is how many seconds the service asks to be left in peace."""

    code: str = ""
    reason: str = ""
    details: Any = None
    retry_after: float | None = None


class CommandTimedOut(OfCommand, type="command.timed-out"):
    pass


class RetryScheduled(OfCommand, type="command.retry-scheduled"):
    """`round` and `attempt` are those that come next; `anew` says that the retries are counted from there."""

    due: datetime
    anew: bool = False


class CommandParked(OfCommand, type="command.parked"):
    """A person should look. The quick retries are used up and slow ones go on, unless it `stops`: nothing does then."""

    reason: str
    stops: bool = False


class ContradictionFound(OfCommand, type="command.contradiction"):
    """A participant gave two answers that cannot both be true; a person should look."""

    recorded: str
    came: str
