"""A recorded saga played again by a candidate definition: the same inputs and answers, and nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from uuid import UUID

from amends.domain import events as e
from amends.domain.correlation import LearntKey
from amends.domain.decide import take_turn
from amends.domain.definition import InvalidMessage
from amends.domain.errors import ActionRefused
from amends.domain.evolve import fold
from amends.domain.handlers.definition import AnyDefinition, ManagerDefinition
from amends.domain.history import Recorded
from amends.domain.inputs import Input, Migrate
from amends.domain.planning import proceed
from amends.domain.state import SagaState
from amends.domain.told import Arrival, Reply, Start, Tick
from amends.domain.turn import Turn
from amends.domain.wire import service
from amends.projections.whatif.inputs import Told, told


@dataclass(frozen=True)
class Trouble:
    """Something that the candidate could not do: `kind` is `refused`, `unreadable` or `undecidable`."""

    kind: str
    what: str
    version: int
    text: str


@dataclass
class Rehearsed:
    """What the candidate recorded, each event with the version in the real history at which it would have come."""

    events: list[tuple[int, e.SagaEvent]] = field(default_factory=list[tuple[int, e.SagaEvent]])
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    state: SagaState | None = None
    unknown: tuple[str, ...] = ()
    """What it waits for in the end, and of which the record has no answer, because it was never asked for."""


def rehearse(candidate: AnyDefinition, history: Sequence[Recorded]) -> Rehearsed:
    """Tell the candidate all that the recorded saga was told.

    An answer is that of the same command: the same step, direction, round and attempt. It comes as long after the
    command as it did in fact. A command that the record does not have is never answered, and time stands still for a
    saga that waits for one.

    A saga that was migrated is taken as it was recorded up to its last migration, for that was decided by another
    version; from there on the candidate decides.
    """
    rehearsal = _Rehearsal(candidate, history)
    rehearsal.run()
    return rehearsal.result


class _Rehearsal:
    def __init__(self, candidate: AnyDefinition, history: Sequence[Recorded]) -> None:
        events = [recorded.event for recorded in history]
        self.result = Rehearsed()
        self._candidate = candidate
        self._id = history[0].originator_id
        self._end = len(history)
        self._sent = {event.command_id: event.at for event in events if isinstance(event, e.CommandRecorded)}
        self._limited = {
            service(event.subject) for event in events if isinstance(event, e.CommandRecorded) and event.held
        }
        self._waited = {event.step for event in events if isinstance(event, e.WaitStarted)}
        self._over = history_is_over(events)
        self._refused = _clashes(events)
        self._order = count()
        self._agenda: list[tuple[datetime, int, int, Told]] = []
        self._answers: dict[UUID, list[Told]] = {}
        taken = last_migration(events)
        self._migrated = self._take(history[:taken]) if taken else None
        asked = {event.command_id for event in events[:taken] if isinstance(event, e.CommandRecorded)}
        for each in told(history):
            if each.version <= taken:
                continue
            if each.answers is None or each.answers in asked:
                self._plan(each)
            else:
                self._answers.setdefault(each.answers, []).append(each)

    @property
    def _state(self) -> SagaState | None:
        return self.result.state

    def run(self) -> None:
        """Until nothing of the record is left to tell."""
        going = self._migrated is None or self._go_on(self._migrated)
        while going and self._agenda:
            _, _, _, coming = heappop(self._agenda)
            going = self._pass_time(coming) and self._tell(coming)
            if going and not self._agenda:
                self._wait()
        self.result.unknown = self._unknown()

    def _take(self, history: Sequence[Recorded]) -> Told:
        """What is recorded up to a migration, as it is; and that migration."""
        self.result.events += [(recorded.originator_version, recorded.event) for recorded in history]
        state = self.result.state = fold((recorded.event for recorded in history), self._id)
        assert state is not None
        self._waited |= {step.name for step in state.steps.values() if step.wait}
        event = history[-1].event
        assert isinstance(event, e.SagaMigrated)
        given = Migrate(event.cause, event.reason, by=event.by, trace=event.trace, to=event.definition)
        return Told(history[-1].originator_version, event.at, event.by, given, None, None)

    def _go_on(self, migrated: Told) -> bool:
        """What the candidate does as soon as it has the saga; False where it cannot decide."""

        def decide() -> Turn:
            turn = Turn(self._candidate, self._id, self._state, migrated.given, migrated.at, migrated.by)
            turn.limited = self._limited
            proceed(turn)
            return turn

        return self._decide(migrated, decide)

    def _plan(self, coming: Told) -> None:
        heappush(self._agenda, (coming.at, coming.version, next(self._order), coming))

    def _pass_time(self, coming: Told) -> bool:
        """Apply the timers that the candidate has before this input, and the recorded saga had not."""
        while (due := self._due()) is not None and due < coming.at and due != coming.due:
            if not self._tell(replace(coming, at=due, given=Tick(due))):
                return False
        return True

    def _wait(self) -> None:
        """What is over in the record, and not here, goes on for as long as the record tells what would come."""
        due = self._due()
        if due is not None and self._over:
            self._plan(Told(self._end, due, "timer", Tick(due), None, None))

    def _due(self) -> datetime | None:
        return None if self._state is None or self._unknown() else self._state.wake_up

    def _tell(self, coming: Told) -> bool:
        """False where the candidate cannot decide any more."""
        if isinstance(coming.given, Tick) and self._unknown():
            return True
        return self._decide(
            coming,
            lambda: take_turn(
                self._candidate,
                self._id,
                self._state,
                self._given(coming.given),
                coming.at,
                coming.by,
                self._refused,
                self._limited,
            ),
        )

    def _decide(self, coming: Told, decide: Callable[[], Turn]) -> bool:
        """False where the candidate cannot decide any more."""
        try:
            turn = decide()
        except ActionRefused as error:
            self._trouble("refused", coming, str(error))
        except InvalidMessage as error:
            self._trouble("unreadable", coming, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a candidate's code raises is what is to be found out
            self._trouble("undecidable", coming, f"{type(error).__name__}: {error}")
            return False
        else:
            if turn.events:
                self.result.state = turn.state
                self.result.events += [(coming.version, event) for event in turn.events]
                self._expect(turn.events)
        return True

    def _given(self, given: Input) -> Input:
        """To a process manager, an event that can start a saga comes as a start, even where the saga is there."""
        manager = isinstance(self._candidate, ManagerDefinition)
        state = self._state
        if (
            manager
            and state
            and isinstance(given, Arrival)
            and given.subject in self._candidate.start_subjects
        ):
            body = self._candidate.read_start(given.subject, given.body).model_dump(mode="json")
            return Start(given.message_id, self._id, state.namespace, state.key, given.subject, body)
        return given

    def _expect(self, events: Sequence[e.SagaEvent]) -> None:
        """The recorded answers to what was just sent come as long after it as they did."""
        for event in events:
            if not isinstance(event, e.CommandRecorded):
                continue
            for answer in self._answers.pop(event.command_id, ()):
                late = event.at - self._sent[event.command_id]
                self._plan(replace(answer, at=answer.at + late, due=None if late else answer.due))

    def _unknown(self) -> tuple[str, ...]:
        """What the candidate waits for and the record knows nothing of."""
        state = self._state
        if state is None:
            return ()
        asked = [
            step.name
            for step, _, line in state.active()
            if (attempt := line.in_flight or line.held) and attempt.command_id not in self._sent
        ]
        return (*asked, *(step.name for step, _ in state.waits() if step.name not in self._waited))

    def _trouble(self, kind: str, coming: Told, text: str) -> None:
        given = coming.given
        ref = self._state.find(given.command_id) if self._state and isinstance(given, Reply) else None
        what = ref.step.name if ref else type(given).__name__.lower()
        self.result.troubles.append(Trouble(kind, what, coming.version, text))


def last_migration(events: Sequence[e.SagaEvent]) -> int:
    """How many events there are up to the last migration; 0: there is none."""
    return max(
        (count for count, event in enumerate(events, 1) if isinstance(event, e.SagaMigrated)), default=0
    )


def history_is_over(events: Sequence[e.SagaEvent]) -> bool:
    """The recorded saga came to its end; until then nobody knows what would still have come."""
    ends = (e.SagaCompleted, e.SagaCompensated, e.SagaFailed)
    turns = (*ends, e.SagaReopened)
    last = next((event for event in reversed(events) if isinstance(event, turns)), None)
    return isinstance(last, ends)


def _clashes(events: Sequence[e.SagaEvent]) -> list[LearntKey]:
    """The further keys that the saga could not have, because another one had them."""
    saga = next(event.saga for event in events if isinstance(event, e.SagaStarted))
    return [LearntKey(saga, event.name, event.value) for event in events if isinstance(event, e.KeyClashed)]
