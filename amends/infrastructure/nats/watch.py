"""Keeps streams and consumers in place, and tells when the broker lost messages that it had stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from amends.infrastructure.broker import (
    ConsumerSpec,
    Intact,
    Lost,
    Mark,
    MarkStore,
    StreamMissing,
    StreamSpec,
)
from amends.infrastructure.nats.connection import Broker

_LOG: Final = logging.getLogger("amends.nats")


class BrokerWatch:
    """Looks at the streams when it starts, after every reconnect, when a consumer is gone, and at intervals
    (seconds).

    Each time it creates what is missing and compares the streams with the marks. For those that lost
    something `on_loss` is called with their names, and only when it has returned the new marks are stored:
    after a crash in between it is called again. Several processes may each notice the same loss.

    A consumer that is missing begins, when its stream is another than before, with the stream's first
    message; otherwise behind what was acknowledged when it was last looked at; and as specified if it never
    was. One that begins later than it should, as it was meant for the stream before, is made anew.

    Entering makes the first inspection. What goes wrong later ends the watch: `wait` raises it, and leaving
    does. Raises ConfiguredOtherwise, and whatever `on_loss` and the store raise.
    """

    def __init__(
        self,
        broker: Broker,
        streams: Sequence[StreamSpec],
        consumers: Sequence[ConsumerSpec],
        marks: MarkStore,
        on_loss: Callable[[set[str]], Awaitable[None]],
        interval: float = 5.0,
    ) -> None:
        self._broker = broker
        self._streams = streams
        self._consumers = consumers
        self._marks = marks
        self._on_loss = on_loss
        self._interval = interval
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unlisten: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        self._unlisten = [
            self._broker.reconnected.listen(self._look.set),
            self._broker.consumer_gone.listen(self._look.set),
        ]
        try:
            await self._look_round()
        except BaseException:
            self._stop_listening()
            raise
        self._task = asyncio.create_task(self._run(), name="amends-nats-watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_listening()
        assert self._task is not None
        self._task.cancel()
        [outcome] = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception) and outcome is not error:
            raise outcome

    async def wait(self) -> None:
        """Does not return while the watch goes on; raises what ended it."""
        assert self._task is not None
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._interval):
                    await self._look.wait()
            except TimeoutError:
                pass  # the interval is over
            await self._look_round()

    async def _look_round(self) -> None:
        self._look.clear()
        while True:
            try:
                return await self._inspect()
            except StreamMissing as missing:
                _LOG.warning("%s; looking again", missing)

    async def _inspect(self) -> None:
        connection = await self._broker.connected()
        # Streams are made before they are looked at: where a consumer begins must be told of the stream it gets.
        await self._broker.ensure(self._streams, [])
        known = await self._marks.load()
        verdicts = {spec.name: await self._verdict(spec.name, known) for spec in self._streams}
        lost = {name for name, verdict in verdicts.items() if isinstance(verdict, Lost)}
        begin = self._beginnings(known, verdicts)
        acknowledged = await self._broker.ensure([], self._consumers, begin)
        marks = {name: await self._mark(name, verdict) for name, verdict in verdicts.items()}
        if lost:
            await self._on_loss(lost)
        marks |= self._consumer_marks(marks, acknowledged)
        if changed := {name: mark for name, mark in marks.items() if known.get(name) != mark}:
            await self._marks.store(changed)
        if not connection.broken.done():
            self._broker.seen.trust(marks.values())

    async def _verdict(self, stream: str, known: Mapping[str, Mark]) -> Intact | Lost:
        verdict = await self._broker.inspect(stream, self._broker.seen.newest(known.get(stream)))
        if isinstance(verdict, Lost):
            _LOG.error("the broker lost messages of %s: %s; they are sent again", stream, verdict.reason)
        return verdict

    async def _mark(self, stream: str, verdict: Intact | Lost) -> Mark:
        """The stream's end; one that was created just now is looked at again."""
        while verdict.mark is None:
            verdict = await self._broker.inspect(stream, None)
        return verdict.mark

    def _beginnings(self, known: Mapping[str, Mark], verdicts: Mapping[str, Intact | Lost]) -> dict[str, int]:
        begin: dict[str, int] = {}
        for spec in self._consumers:
            verdict, mark = verdicts[spec.stream], known.get(spec.place)
            if isinstance(verdict, Lost):
                begin[spec.place] = 1
            elif mark is not None:
                same = verdict.mark is not None and verdict.mark.created == mark.created
                begin[spec.place] = mark.sequence + 1 if same else 1
        return begin

    def _consumer_marks(self, marks: Mapping[str, Mark], acknowledged: Mapping[str, int]) -> dict[str, Mark]:
        return {
            spec.place: Mark(spec.place, marks[spec.stream].created, acknowledged[spec.place])
            for spec in self._consumers
        }

    def _stop_listening(self) -> None:
        for unlisten in self._unlisten:
            unlisten()
        self._unlisten.clear()
