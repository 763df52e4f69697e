"""Publishes what was committed to an outbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from psycopg import AsyncConnection

from amends.infrastructure.broker import PublishFailed
from amends.infrastructure.ports import Publisher
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.outbox import Outbox, Recorded
from amends.infrastructure.publishing import publish_all_that_can_be

_LOG: Final = logging.getLogger("amends.outbox")
_AT_ONCE: Final = 500
_LISTEN: Final = "LISTEN amends_outbox"  # the channel that `Outbox.enqueue` notifies


class Relay:
    """Publishes committed messages: at its start, when woken, and at intervals those older than `grace`.

    Several relays may serve one outbox; they take turns. `grace` leaves fresh messages to whoever recorded
    them and publishes them itself. Published messages are deleted after `keep`. What the broker refuses is
    logged, stays in the outbox and is tried again at the next interval.
    """

    def __init__(
        self,
        link: Link,
        outbox: Outbox,
        publisher: Publisher,
        *,
        interval: timedelta = timedelta(seconds=5),
        grace: timedelta = timedelta(0),
        keep: timedelta = timedelta(days=7),
    ) -> None:
        self._link = link
        self._outbox = outbox
        self._publisher = publisher
        self._interval = interval.total_seconds()
        self._grace = grace
        self._keep = keep
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Have everything published that is committed, however fresh."""
        self._woken.set()

    async def listen(self, conninfo: str) -> None:
        """Wake at every `Outbox.enqueue` that commits, on a connection of its own; never returns."""
        async with Link(conninfo, name="amends-outbox-listen") as link:
            while True:
                await link.run(self._listen)

    async def run(self) -> None:
        """Go on for ever."""
        await self.sweep()
        while True:
            grace = timedelta(0)
            try:
                async with asyncio.timeout(self._interval):
                    await self._woken.wait()
            except TimeoutError:
                grace = self._grace
                await self._prune()
            await self.sweep(grace)

    async def lost(self) -> None:
        """The broker lost messages: publish everything once more that is still kept."""
        count = await self._link.run(self._outbox.mark_lost)
        _LOG.warning("%s: %d messages are published once more", self._outbox.schema, count)
        self.wake()

    async def sweep(self, grace: timedelta = timedelta(0)) -> None:
        """Publish what is committed and at least `grace` old, unless another relay is at it."""
        self._woken.clear()
        if not await self._link.run(self._outbox.take_turn):
            return
        try:
            after = 0
            while found := await self._unpublished(after, grace):
                await self.publish(found)
                after = found[-1].position
        finally:
            await self._link.run(self._outbox.end_turn)

    async def publish(self, recorded: Sequence[Recorded]) -> None:
        """Publish these and mark them; what the broker refuses is logged, and left for a sweep."""
        refused = await publish_all_that_can_be(self._publisher, [each.message for each in recorded])
        if refused:
            error = PublishFailed(list(refused.values()))
            _LOG.error("%s: the broker refused; the message stays: %s", self._outbox.schema, error)
        stored = [each for each in recorded if each.message.message_id not in refused]
        if stored:
            await self._link.run(lambda connection: self._outbox.mark_published(connection, stored))

    async def _unpublished(self, after: int, grace: timedelta) -> list[Recorded]:
        return await self._link.run(
            lambda connection: self._outbox.unpublished(connection, _AT_ONCE, after=after, grace=grace)
        )

    async def _prune(self) -> None:
        while await self._link.run(lambda connection: self._outbox.prune(connection, self._keep, _AT_ONCE)):
            pass

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute(_LISTEN)
        self.wake()  # for what was committed while nobody listened
        async for notification in connection.notifies():
            if notification.payload == self._outbox.schema:
                self.wake()
