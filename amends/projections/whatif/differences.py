"""What a candidate would have sent otherwise than was recorded, where, and how its saga would have ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from amends.domain import events as e
from amends.domain.definition import Definition
from amends.domain.events import JsonObject
from amends.domain.evolve import fold
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.history import Recorded
from amends.domain.state import SagaState, Status
from amends.domain.wire import Direction
from amends.projections.whatif.rehearsal import Rehearsed, rehearse

KINDS: Final = ("added", "missing", "changed", "order", "ending", "refused", "unreadable", "undecidable")
"""Every kind of difference."""

_WORD: Final = {Direction.FORWARD: "", Direction.COMPENSATE: "undo ", Direction.CLOSE: "close "}


@dataclass(frozen=True)
class Difference:
    """One difference: `kind` is one of `KINDS`, `what` the step (or `undo` or `close` and the step) or what it ends as.

    `version` is where in the recorded history it shows.
    """

    kind: str
    what: str
    version: int
    text: str

    @property
    def name(self) -> str:
        """What an expectation is matched with: `added:notify`."""
        return f"{self.kind}:{self.what}"

    def as_json(self) -> JsonObject:
        return {"kind": self.kind, "what": self.what, "version": self.version, "text": self.text}


@dataclass(frozen=True)
class Sent:
    """A command or an event that a saga sent."""

    what: str
    round: int
    attempt: int
    direction: Direction
    subject: str
    payload: JsonObject | None
    version: int

    @property
    def place(self) -> tuple[str, int, int]:
        """What it is compared with: the same attempt of the same round."""
        return (self.what, self.round, self.attempt)

    @property
    def words(self) -> str:
        again = f", round {self.round}" if self.round > 1 else ""
        return f"{self.subject} for {self.what!r} (attempt {self.attempt}{again})"


@dataclass(frozen=True)
class Comparison:
    """One saga under the candidate: how it ended, how it would have, and all that differs."""

    saga_id: str
    saga: str
    key: str
    recorded: str
    candidate: str
    differences: Sequence[Difference]

    def as_json(self) -> JsonObject:
        return {
            "id": self.saga_id,
            "saga": self.saga,
            "key": self.key,
            "ended": self.recorded,
            "would_end": self.candidate,
            "differences": [each.as_json() for each in self.differences],
        }


def compare(candidate: AnyDefinition, history: Sequence[Recorded]) -> Comparison:
    """Decide a history again by the candidate, and compare."""
    recorded = fold((each.event for each in history), history[0].originator_id)
    assert recorded is not None
    rehearsed = rehearse(candidate, history)
    was = list(_sent((each.originator_version, each.event) for each in history))
    would = list(_sent(rehearsed.events))
    missing = (each for each in _missing(was, would) if _is_certain(each, candidate, rehearsed))
    differences = [*_troubles(rehearsed), *_unlike(was, would), *map(_as_difference, missing)]
    if not (rehearsed.unknown and differences):  # else its end hangs on what is asked in addition
        differences += _ending(recorded, rehearsed, len(history))
    differences.sort(key=lambda each: each.version)
    name = f"{recorded.saga}@{recorded.definition}"
    return Comparison(
        str(recorded.id), name, recorded.key, str(recorded.status), _ends(rehearsed), differences
    )


def is_expected(difference: Difference, expected: Iterable[str]) -> bool:
    """Whether it matches one of these patterns, such as `added:notify` or `changed:*`."""
    return any(fnmatchcase(difference.name, pattern) for pattern in expected)


def _sent(events: Iterable[tuple[int, e.SagaEvent]]) -> Iterator[Sent]:
    published = 0
    for version, event in events:
        if isinstance(event, e.CommandRecorded):
            what = f"{_WORD[event.direction]}{event.step}"
            yield Sent(
                what, event.round, event.attempt, event.direction, event.subject, event.payload, version
            )
        elif isinstance(event, e.EventPublished):
            published += 1
            what = f"publish {event.subject}"
            yield Sent(what, 1, published, Direction.FORWARD, event.subject, event.event, version)


def _unlike(was: Sequence[Sent], would: Sequence[Sent]) -> Iterator[Difference]:
    """What is sent in addition, or with another content, or in another order."""
    before = {each.place: each for each in was}
    for each in would:
        other = before.get(each.place)
        if other is None:
            yield Difference("added", each.what, each.version, f"would also send {each.words}")
        elif (each.subject, each.payload) != (other.subject, other.payload):
            text = f"would send {each.words} otherwise: {_contents(other, each)}"
            yield Difference("changed", each.what, other.version, text)
    yield from _order(was, would)


def _order(was: Sequence[Sent], would: Sequence[Sent]) -> Iterator[Difference]:
    common = {each.place for each in was} & {each.place for each in would}
    pairs = zip(
        (each for each in was if each.place in common),
        (each for each in would if each.place in common),
        strict=True,
    )
    for before, after in pairs:
        if before.place != after.place:
            text = f"would send {after.words} before {before.words}"
            yield Difference("order", after.what, before.version, text)
            return


def _missing(was: Sequence[Sent], would: Sequence[Sent]) -> Iterator[Sent]:
    sent = {each.place for each in would}
    return (each for each in was if each.place not in sent)


def _is_certain(missing: Sent, candidate: AnyDefinition, rehearsed: Rehearsed) -> bool:
    """It would not be sent, whatever the answers are that the record does not have."""
    state = rehearsed.state
    if not rehearsed.unknown or state is None or state.status.final:
        return True
    if isinstance(candidate, Definition):
        steps = {step.name for step in candidate.steps}
        if missing.what.removeprefix(_WORD[missing.direction]) not in steps and "publish" not in missing.what:
            return True
    return missing.direction is not Direction.COMPENSATE and state.status is Status.COMPENSATING


def _as_difference(missing: Sent) -> Difference:
    return Difference("missing", missing.what, missing.version, f"would not send {missing.words}")


def _contents(before: Sent, after: Sent) -> str:
    if before.subject != after.subject:
        return f"to {after.subject} instead of {before.subject}"
    was, would = before.payload or {}, after.payload or {}
    names = [name for name in {**was, **would} if was.get(name) != would.get(name)]
    return ", ".join(f"{name}: {_value(was, name)} → {_value(would, name)}" for name in names)


def _value(body: Mapping[str, object], name: str) -> str:
    return repr(body[name]) if name in body else "nothing"


def _troubles(rehearsed: Rehearsed) -> Iterator[Difference]:
    for each in rehearsed.troubles:
        yield Difference(each.kind, each.what, each.version, each.text)


def _ends(rehearsed: Rehearsed) -> str:
    state = rehearsed.state
    if any(each.kind == "undecidable" for each in rehearsed.troubles):
        return "in quarantine"
    if rehearsed.unknown and state is not None:
        waits = ", ".join(rehearsed.unknown)
        return f"{state.status}, waiting for {waits}; how that ends, no record tells"
    return "never started" if state is None else str(state.status)


def _ending(recorded: SagaState, rehearsed: Rehearsed, version: int) -> Iterator[Difference]:
    state = rehearsed.state
    if state is not None and state.status is not recorded.status:
        text = f"would be {_ends(rehearsed)} instead of {recorded.status}"
        yield Difference("ending", str(state.status), version, text)
