"""One consumer's pull requests: how many messages are asked for, and what the server answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from amends.infrastructure.broker import ConsumerSpec
from amends.infrastructure.nats import marks
from amends.infrastructure.nats.in_progress import InProgress

if TYPE_CHECKING:
    from amends.infrastructure.nats.connection import Broker, Connection

EXPIRES: Final = 30.0
HEARTBEAT: Final = 5.0
_NANOSECONDS: Final = 1_000_000_000
_LEAST_BYTES: Final = 16 * 1024 * 1024
_PAUSE: Final = 0.5
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_ENDED: Final = frozenset({"batch completed", "message size exceeds maxbytes"})
_PENDING: Final = "Nats-Pending-Messages"


class Pull:
    """What is known of one consumer.

    `identity` names the consumer's life: acknowledgements are only good for the one that delivered, or they
    would hit other messages. It ends when the consumer is created again, and when its stream lost messages
    that it had delivered. `late` are acknowledgements that wait until it is known, after a reconnect, whether
    it is still the same.
    """

    def __init__(self, broker: Broker, spec: ConsumerSpec, subject: str, buffer: int) -> None:
        self._broker = broker
        self.spec = spec
        self.subject = subject
        self.buffer = buffer
        self.buffered = 0
        self.paused = False
        self.identity = ""
        self._created = ""
        self._lives = 0
        self._newest = (0, "")
        self.late: list[str] = []
        self.in_progress = InProgress(spec)
        self._connection: Connection | None = None
        self._asked = 0
        self._requests = 0
        self._heard = 0.0
        self._not_before = 0.0
        self._absences = 0

    @property
    def is_live(self) -> bool:
        """Whether the consumer is known to be the same since this connection was made."""
        connection = self._connection
        return connection is not None and not connection.broken.done() and self._broker.is_up

    async def attend(self, now: float) -> bool:
        """Ask for more where there is room. False: the consumer is not there, or no longer the same."""
        if now < self._not_before or not self._broker.is_up:
            return True
        if not self.is_live and not await self._recognise(now):
            return False
        if self._asked and now - self._heard > 2 * HEARTBEAT:
            self._asked = 0  # the server has forgotten our requests
        room = self.buffer - self.buffered - self._asked
        if not self.paused and room * 2 >= self.buffer:
            await self._ask(room, now)
        return True

    def due(self, now: float) -> float:
        """In how many seconds to attend again, whatever happens."""
        return min(max(self._not_before - now, 0.0) or HEARTBEAT, self.in_progress.due(now))

    @property
    def life(self) -> str:
        """Tells one consumer from another of its name, in a word that can be part of a subject."""
        return f"{crc32(self._created.encode()):08x}"

    def answered(self, now: float) -> None:
        """The server delivered one of the messages that it was asked for."""
        self._asked = max(self._asked - 1, 0)
        self._heard = now

    def delivered(self, sequence: int, message_id: str) -> None:
        """A message came that waits here."""
        if sequence > self._newest[0]:
            self._newest = (sequence, message_id)
        self.buffered += 1

    def wants_more(self) -> bool:
        return not self.paused and (self.buffer - self.buffered - self._asked) * 2 >= self.buffer

    def status(self, headers: Mapping[str, str], now: float) -> None:
        """The server says how a request ended, or that it is alive."""
        code, text = headers.get("Status"), headers.get("Description", "").lower()
        self._heard = now
        if code == "100":
            return
        ended = headers.get(_PENDING, "")
        self._asked = max(self._asked - int(ended), 0) if ended.isdigit() else 0
        if code in {"404", "408"} or text in _ENDED:
            return
        # 409 for a consumer that is gone or has another leader, for a server that stops, for too many
        # requests; 503 where nobody answers: look whether it is still there, but not in a hot loop.
        self._not_before = now + _PAUSE
        self._connection = None

    async def _recognise(self, now: float) -> bool:
        connection = await self._broker.connected()
        info = await self._broker.api.consumer(self.spec.stream, self.spec.durable)
        if info is None:
            self._not_before = now + min(_SHORTEST_PAUSE * 2**self._absences, _LONGEST_PAUSE)
            self._absences = min(self._absences + 1, 10)
            self._begin_life("")
            return False
        same = info["created"] == self._created and await self._is_stream_intact()
        new = self._created == ""
        if not same:
            self._begin_life(info["created"])
        self._connection, self._asked, self._heard, self._absences = connection, 0, now, 0
        return same or new

    async def _is_stream_intact(self) -> bool:
        """Whether the newest message that was delivered is still where it was."""
        sequence, message_id = self._newest
        return not sequence or (
            await marks.replaced(self._broker.api, self.spec.stream, sequence, message_id) is None
        )

    def _begin_life(self, created: str) -> None:
        self._lives += 1
        self._created, self._newest = created, (0, "")
        self.identity = f"{created}#{self._lives}"

    async def _ask(self, batch: int, now: float) -> None:
        self._requests += 1
        self._asked += batch
        self._heard = now
        request: dict[str, Any] = {
            "batch": batch,
            "expires": round(EXPIRES * _NANOSECONDS),
            "idle_heartbeat": round(HEARTBEAT * _NANOSECONDS),
            "max_bytes": max(_LEAST_BYTES, 2 * self._broker.client.max_payload),
        }
        await self._broker.client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.spec.stream}.{self.spec.durable}",
            json.dumps(request).encode(),
            reply=f"{self.subject}.{self._requests}",
        )
