"""What the worker and the participants ask of the outside world.

Every port has a real adapter and an in-memory one beside this file; all of them pass one contract suite in
`tests/infrastructure/`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from amends.domain.aggregate import SagaAggregate
from amends.domain.correlation import LearntKey
from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject
from amends.domain.history import Recorded
from amends.domain.value import value
from amends.infrastructure.limits import LimitedSaga, Limits, Slot


@value(frozen=True, slots=True)
class Incoming:
    """A message as the broker delivered it.

    `subject` is the full subject, namespace included. `received` is when the broker stored it, `sequence` where.
    `token` is the adapter's own handle for the acknowledgement. `held` says why it waited in the store, where it
    comes from there, and `held_for` for which saga, where that was known.
    """

    subject: str
    headers: Mapping[str, str]
    body: bytes
    received: datetime
    sequence: int
    deliveries: int = 1
    consumer: str = ""
    token: Any = field(default=None, compare=False, repr=False)
    held: str = field(default="", compare=False)
    held_for: UUID | None = field(default=None, compare=False)


@value(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `message_id` is its `ce-id`, the same however often it is sent.

    `deduplication_id` becomes the `Nats-Msg-Id`: the message id at first, a fresh one after a loss.
    """

    message_id: str
    subject: str
    headers: Mapping[str, str]
    body: bytes
    deduplication_id: str = ""


@value(frozen=True, slots=True)
class SagaRow:
    """What the store knows of a saga without reading its history.

    `version` is that of the last event, `expected` the one before this commit, 0 for a new saga.
    `wake_up` is when the saga must be looked at again, whatever comes; None: never.
    """

    saga_id: UUID
    saga: str
    definition: int
    key: str
    status: str
    version: int
    expected: int
    wake_up: datetime | None


@value(frozen=True, slots=True)
class Which:
    """Some sagas: all of them, unless a field says which. `status` is as it is now."""

    saga: str | None = None
    definition: int | None = None
    key: str | None = None
    status: str | None = None

    def holds(self, row: SagaRow) -> bool:
        """Whether the saga is one of them."""
        return (
            self.saga in (None, row.saga)
            and self.definition in (None, row.definition)
            and self.key in (None, row.key)
            and self.status in (None, str(row.status))
        )


@value(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be handled, with the reason; kept in the store, and told on `ns.dead.<where>`."""

    message: Incoming
    message_id: str
    where: str
    reason: str


@value(frozen=True, slots=True)
class Held:
    """A message that waits in the store, once for each saga type that it concerns.

    `why` is `quarantine` (its saga is), `version` (no worker that took it holds that one, or can read its history),
    `early` (it finds no saga yet) or `limit` (it starts a saga, and as many run as may); `error` tells a person what
    happened. An early one names the further key that it was looked for by, if it was one, and the time after which it
    has waited long enough.
    """

    message: Incoming
    message_id: str
    saga_id: UUID | None
    saga: str
    definition: int
    why: str
    error: str
    sought: LearntKey | None = None
    until: datetime | None = None


@value(frozen=True, slots=True)
class Handled:
    """A held message was told to its saga (None: it depends on no saga), and waits for this type no longer."""

    message_id: str
    saga: str
    saga_id: UUID | None


@value(frozen=True, slots=True)
class Unclaimed:
    """What became of an event that found no saga of a type that listens to it: `ignored`, `kept` or `dead`.

    `at` is when that was committed; the store tells it.
    """

    message_id: str
    saga: str
    subject: str
    key: str
    became: str
    at: datetime | None = field(default=None, compare=False)


@value(frozen=True, slots=True)
class Quarantined:
    """A saga that could not be decided: where it stands (`version`: its last event), since when, and why.

    `held` is how many messages wait for its release.
    """

    saga_id: UUID
    saga: str
    definition: int
    key: str
    version: int
    since: datetime
    error: str
    held: int


@value(frozen=True, slots=True)
class Commit:
    """All that one batch changes, in one transaction.

    `aggregates` carry their new events; `rows` has one row for each of them; `outbox` names for each message
    the saga that it belongs to (None: it does not depend on any). `quarantined` are sagas that could not be
    decided, with the error as text; `ahead` those that a newer program went on with, with the topic of an event that
    cannot be read here. `published` are ids of messages of earlier commits that the broker has by now.
    `keys` are those that sagas learnt, `handled` the held messages that need not wait any more, `released` the sagas
    whose quarantine ends. `limited` are those of `rows` that have limited commands, `slots` those of limited types.
    """

    aggregates: Sequence[SagaAggregate] = ()
    rows: Sequence[SagaRow] = ()
    outbox: Sequence[tuple[UUID | None, Outgoing]] = ()
    dead: Sequence[DeadLetter] = ()
    held: Sequence[Held] = ()
    quarantined: Mapping[UUID, str] = field(default_factory=dict[UUID, str])
    ahead: Mapping[UUID, str] = field(default_factory=dict[UUID, str])
    published: Collection[str] = ()
    keys: Sequence[tuple[UUID, LearntKey]] = ()
    unclaimed: Sequence[Unclaimed] = ()
    handled: Sequence[Handled] = ()
    released: Collection[UUID] = ()
    limited: Sequence[LimitedSaga] = ()
    slots: Sequence[Slot] = ()


@value(frozen=True, slots=True)
class Loaded:
    """Sagas as they are in the store, and its clock. Every id asked for is in exactly one of the three.

    `aggregates` holds an empty one (version 0) for an id that has no events; `unreadable` the error for a
    history that cannot be read; `quarantined` those that must not be decided at present.
    """

    now: datetime
    aggregates: Mapping[UUID, SagaAggregate]
    unreadable: Mapping[UUID, Exception]
    quarantined: frozenset[UUID]


@value(frozen=True, slots=True)
class Due:
    """Sagas whose wake-up has come, taken by this worker for the length of its lease.

    `next` is when to ask again: no later than the next wake-up of a saga that nobody has taken, or at the end of a
    lease. It may be too early where wake-ups moved away meanwhile. It lies in the past where more were due than the
    limit, or where some wait for `until`; None: nothing will come.
    """

    now: datetime
    saga_ids: Sequence[UUID]
    next: datetime | None


@value(frozen=True, slots=True)
class MissingVersion:
    """A version that no running worker holds, with its unfinished sagas and the messages held for them."""

    saga: str
    definition: int
    sagas: int
    held: int


class KeysTaken(AmendsError):
    """Sagas learnt keys that other sagas of their type have already; nothing of the commit was saved.

    Decide it again, and let these sagas know that they cannot have these keys: `claims`.
    """

    def __init__(self, claims: Collection[tuple[UUID, LearntKey]]) -> None:
        listed = ", ".join(f"{key.saga} {saga}: {key.name} {key.value!r}" for saga, key in claims)
        super().__init__(f"expected each key to belong to one saga of its type; not to be had: {listed}")
        self.claims = frozenset(claims)


class CommitRefused(AmendsError):
    """The database will never take something of a commit, whatever is tried; nothing of it was saved."""


class Store(Protocol):
    """Histories, and what must be committed together with them. Waits while the database is away.

    Sagas that a newer program went on with are neither taken nor told of here, nor are messages that are held for
    them, until the program can read all their events.

    A lost connection, a deadlock or a serialisation failure is tried again from the start inside the store;
    a commit that was cut off may or may not have happened, and then shows as a conflict.
    """

    @property
    def limits(self) -> Limits:
        """What runs and is outstanding where there are limits."""
        ...

    async def load(self, saga_ids: Collection[UUID], *, in_quarantine: bool = False) -> Loaded:
        """These sagas, in one query. With `in_quarantine` those in quarantine are read, too, beside being named."""
        ...

    async def commit(self, commit: Commit) -> frozenset[UUID]:
        """Save all of it in one transaction, except the sagas that another worker was quicker with.

        Those are returned, and nothing of theirs (events, row, outbox) was saved; decide them again.
        Raises `KeysTaken`, and `CommitRefused`.
        """
        ...

    async def take_due(
        self, definitions: Collection[tuple[str, int]], until: datetime | None, limit: int, lease: timedelta
    ) -> Due:
        """Take up to `limit` sagas of these (type, version) whose wake-up has come, and was before `until`.

        No other worker gets them during the lease (unless their wake-up changes, which ends it).
        """
        ...

    async def unpublished(self, limit: int, older_than: timedelta) -> Sequence[Outgoing]:
        """Messages that were committed so long ago and never marked as published, oldest first."""
        ...

    async def published(self, message_ids: Collection[str]) -> None:
        """These are stored by the broker."""
        ...

    async def outstanding(
        self, saga_types: Collection[str], after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        """Ids of sagas of these types that are not final, in the order of ids, to be sent again after a loss."""
        ...

    async def recorded_since(
        self, since: datetime, types: Collection[str], after: int, limit: int
    ) -> Sequence[tuple[int, Recorded]]:
        """Events of these types that this program can read, over all sagas, committed since then, in the order of
        commits with their places in it; `after` is the last place of the page before, 0 for the first.
        """
        ...

    async def register(self, shapes: Sequence[JsonObject]) -> None:
        """Record the shape of each definition once. Raises `ShapeDiffers` where another is recorded."""
        ...

    async def shapes(self) -> Sequence[JsonObject]:
        """Every shape that was ever recorded."""
        ...

    async def find(self, keys: Collection[LearntKey]) -> Mapping[LearntKey, UUID]:
        """The sagas that learnt these keys, in one query; keys that nobody has are left out."""
        ...

    async def release(self, saga_ids: Collection[UUID]) -> frozenset[UUID]:
        """End the quarantine of these sagas; returns those that were in one. Their held messages come again."""
        ...

    async def release_unbegun(self, saga_id: UUID, request: str, by: str, reason: str) -> bool:
        """End the quarantine of a saga that has no history, and keep who asked for it and why.

        True where this request did so, now or before.
        """
        ...

    async def release_versions(self, definitions: Collection[tuple[str, int]]) -> frozenset[UUID]:
        """End the quarantine of all sagas of these versions, and of those that never began; returns which."""
        ...

    async def quarantined(self, *, saga_id: UUID | None = None, limit: int = 1000) -> Sequence[Quarantined]:
        """Sagas in quarantine, longest first."""
        ...

    async def take_held(self, definitions: Collection[tuple[str, int]], limit: int) -> Sequence[Held]:
        """Held messages that can be handled now by whoever holds these (type, version), oldest first.

        Early ones come when their saga is there, or when they have waited long enough. All of them stay until a
        commit says that they are handled.
        """
        ...

    async def dead_letters(self, after: str, limit: int) -> Sequence[DeadLetter]:
        """Those that nobody has seen to, in the order of message ids; `after` is the last one of the page before."""
        ...

    async def unclaimed(self, limit: int) -> Sequence[Unclaimed]:
        """What became of the latest events that found no saga, newest first."""
        ...


class Workers(Protocol):
    """Which workers run, and what nobody runs."""

    async def seen(self, worker: str, definitions: Collection[tuple[str, int]]) -> None:
        """This worker runs, holds these (type, version), and reads what this program can. Told every few seconds."""
        ...

    async def gone(self, worker: str) -> None:
        """This worker has stopped."""
        ...

    async def missing(self) -> Sequence[MissingVersion]:
        """Versions of unfinished sagas that no running worker holds, or none that can read them: they stand still."""
        ...

    async def types(self) -> frozenset[str]:
        """The types of which a running worker holds a version."""
        ...


class Inbox(Protocol):
    """Messages from durable consumers, in batches, each delivered until it is acknowledged."""

    async def receive(self, limit: int, timeout: float | None) -> Sequence[Incoming]:
        """Up to `limit` messages, as soon as there is one; none after `timeout` seconds (None: no limit).

        May be cancelled without losing a message. Messages of one subject and saga keep the broker's order.
        """
        ...

    async def acknowledge(self, messages: Sequence[Incoming]) -> None:
        """Tell the broker that these are done with. Losing an acknowledgement only causes another delivery."""
        ...

    def pause(self, durable: str) -> None:
        """Ask for no more messages of this consumer; those that were asked for may still come."""
        ...

    def resume(self, durable: str) -> None:
        """Ask for this consumer's messages again."""
        ...

    async def handled_until(self) -> datetime | None:
        """All that the broker received before this moment is acknowledged; None: all of it, as of now.

        `NO_MOMENT` where a consumer is missing: the broker lost it, and may have messages for it. Those of a paused
        consumer do not count.
        """
        ...


class Publisher(Protocol):
    """Puts messages into the broker's streams."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Returns when every message is stored. Raises `PublishFailed`, which names those that are not.

        While the broker is away this waits for it to come back; it does not give up by itself.
        """
        ...


class Clock(Protocol):
    """Time for whoever has no database to ask."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns when so many seconds have passed."""
        ...
