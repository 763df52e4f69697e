"""NATS's protocol as it is read: messages go straight to whoever takes them, without a queue or a task for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from nats.protocol.parser import Parser

from amends.infrastructure.nats.protocol import END, message_at

Taker: TypeAlias = Callable[[str, str, bytes, bytes], None]
"""Is called with the subject, the reply subject, the header block and the body of each message."""

_MESSAGES: Final = (b"MSG ", b"HMSG ")


class Reader(Parser):
    """In place of the original parser, which goes on doing everything but messages.

    `takers` are called for the messages of their subscriptions; those of all others go the original's way.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.takers: dict[int, Taker] = {}

    async def parse(self, data: bytes = b"") -> None:
        """Raises ProtocolError. What a taker raises is told as the connection's error, and nothing more."""
        buffer = self.buf  # another one after a `reset`
        buffer += data
        data = bytes(buffer)
        buffer.clear()
        at = 0
        while (end := data.find(END, at)) >= 0:
            if not data.startswith(_MESSAGES, at):
                await super().parse(data[at : end + len(END)])
                at = end + len(END)
                continue
            message = message_at(data, at, end)
            if message is None:
                break
            subscription, subject, reply, headers, body, at = message
            taker = self.takers.get(subscription)
            if taker is None:
                await self.nc._process_msg(subscription, subject.encode(), reply.encode(), body, headers)
            else:
                try:
                    taker(subject, reply, headers, body)
                except Exception as error:  # noqa: BLE001 - the others' messages must go on
                    await self.nc._error_cb(error)
        buffer += data[at:]
