"""NATS's protocol as it is read: messages go straight to whoever takes them, without a queue or a task for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from nats.errors import ProtocolError
from nats.protocol.parser import Parser

Taker: TypeAlias = Callable[[str, str, bytes, bytes], None]
"""Is called with the subject, the reply subject, the header block and the body of each message."""

_MESSAGES: Final = (b"MSG ", b"HMSG ")
_END: Final = b"\r\n"


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
        while (end := data.find(_END, at)) >= 0:
            if not data.startswith(_MESSAGES, at):
                await super().parse(data[at : end + 2])
                at = end + 2
                continue
            line = _Line.read(data[at:end])
            headers, body = end + 2 + line.headers, end + 2 + line.size
            if len(data) < body + 2:
                break
            await self._pass_on(line, data[end + 2 : headers], data[headers:body])
            at = body + 2
        buffer += data[at:]

    async def _pass_on(self, line: _Line, headers: bytes, body: bytes) -> None:
        taker = self.takers.get(line.subscription)
        if taker is None:
            names = line.subject.encode(), line.reply.encode()
            await self.nc._process_msg(line.subscription, *names, body, headers)
            return
        try:
            taker(line.subject, line.reply, headers, body)
        except Exception as error:  # noqa: BLE001 - the others' messages must go on
            await self.nc._error_cb(error)


class _Line(NamedTuple):
    """What goes before a message: of `size` bytes the first ones are `headers`."""

    subject: str
    subscription: int
    reply: str
    headers: int
    size: int

    @classmethod
    def read(cls, line: bytes) -> _Line:
        """`MSG <subject> <sid> [reply] <size>`, or `HMSG` with the size of the headers before that of all."""
        try:
            operation, subject, subscription, *reply, size = line.decode().split()
            headers = int(reply.pop()) if operation == "HMSG" else 0
            return cls(subject, int(subscription), reply[0] if reply else "", headers, int(size))
        except (ValueError, IndexError):
            raise ProtocolError(f"nats: malformed message line: {line[:200]!r}") from None


def header_fields(block: bytes) -> dict[str, str]:
    """The headers of a message; where the server tells a status, that is `Status` and `Description`."""
    first, _, rest = block.decode("utf-8", "replace").partition("\r\n")
    fields: dict[str, str] = {}
    _, _, status = first.partition(" ")
    if status:
        fields["Status"], _, fields["Description"] = status.strip().partition(" ")
    for line in rest.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields[name] = value.strip()
    return fields
