"""What the worker and the participants ask of the outside world.

Every port has a real adapter and an in-memory one beside this file; all of them pass one contract suite in
`tests/infrastructure/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as the broker delivered it.

    `subject` is the full subject, namespace included. `received` is when the broker stored it, `sequence` where.
    `token` is the adapter's own handle for the acknowledgement.
    """

    subject: str
    headers: Mapping[str, str]
    body: bytes
    received: datetime
    sequence: int
    deliveries: int = 1
    consumer: str = ""
    token: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `message_id` is its `ce-id`, the same however often it is sent.

    `deduplication_id` becomes the `Nats-Msg-Id`: the message id at first, a fresh one after a loss.
    """

    message_id: str
    subject: str
    headers: Mapping[str, str]
    body: bytes
    deduplication_id: str = ""


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

    async def handled_until(self) -> datetime | None:
        """All that the broker received before this moment is acknowledged; None: all of it, as of now."""
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
