"""The protocol as it is read: what arrives, in which order, however the bytes are cut."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from nats.errors import ProtocolError

from amends.infrastructure.nats.protocol import header_fields
from amends.infrastructure.nats.reader import Reader

TAKEN, OTHER = 1, 2
HEADERS = b"NATS/1.0\r\nce-id: a\r\n\r\n"
FRAMES = (
    b"MSG in.1 1 4\r\nbare\r\n"
    b"PING\r\n"
    b"HMSG in.2 1 back %d %d\r\n%sbo\r\ny\r\n"
    b"MSG other 2 back 0\r\n\r\n"
    b"HMSG in.3 1 %d %d\r\n%s\r\n"
) % (len(HEADERS), len(HEADERS) + 5, HEADERS, len(HEADERS), len(HEADERS), HEADERS)
CAME = [
    ("taken", "in.1", "", b"", b"bare"),
    ("ping",),
    ("taken", "in.2", "back", HEADERS, b"bo\r\ny"),
    ("other", b"other", b"back", b""),
    ("taken", "in.3", "", HEADERS, b""),
]


@dataclass
class Connection:
    """What the parser asks of nats-py's client."""

    came: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    fails: bool = False

    def take(self, *message: object) -> None:
        self.came.append(("taken", *message))
        if self.fails:
            raise ValueError("cannot be read")

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, body: bytes, headers: bytes) -> None:
        assert (sid, headers) == (OTHER, b"")
        self.came.append(("other", subject, reply, body))

    async def _process_ping(self) -> None:
        self.came.append(("ping",))

    async def _error_cb(self, error: Exception) -> None:
        self.came.append(("error", str(error)))


def reader_of(connection: Connection) -> Reader:
    reader = Reader(connection)
    reader.takers[TAKEN] = connection.take
    return reader


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, len(FRAMES)])
async def test_messages_arrive_in_order_however_the_bytes_are_cut(size: int) -> None:
    connection = Connection()
    reader = reader_of(connection)
    for start in range(0, len(FRAMES), size):
        await reader.parse(FRAMES[start : start + size])
    assert connection.came == CAME


async def test_what_a_taker_raises_is_told_and_the_next_message_arrives() -> None:
    connection = Connection(fails=True)
    await reader_of(connection).parse(b"MSG in.1 1 0\r\n\r\nMSG other 2 0\r\n\r\n")
    assert connection.came == [
        ("taken", "in.1", "", b"", b""),
        ("error", "cannot be read"),
        ("other", b"other", b"", b""),
    ]


async def test_half_a_message_is_forgotten_with_its_connection() -> None:
    connection = Connection()
    reader = reader_of(connection)
    await reader.parse(b"MSG in.1 1 4\r\nba")
    reader.reset()
    await reader.parse(FRAMES)
    assert connection.came == CAME


@pytest.mark.parametrize("line", [b"MSG", b"MSG a 1 x", b"MSG a x 1", b"HMSG a 1 1", b"HELLO"])
async def test_a_line_that_is_none_of_the_protocol_breaks_the_connection(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        await reader_of(Connection()).parse(line + b" \r\n")


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        (b"", {}),
        (
            b"NATS/1.0\r\nce-id: a\r\nempty:\r\ntime: 10:30\r\n\r\n",
            {"ce-id": "a", "empty": "", "time": "10:30"},
        ),
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503", "Description": ""}),
        (
            b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\n\r\n",
            {"Status": "408", "Description": "Request Timeout", "Nats-Pending-Messages": "7"},
        ),
    ],
)
def test_a_header_block_is_its_fields_and_the_servers_status(block: bytes, fields: dict[str, str]) -> None:
    assert header_fields(block) == fields
