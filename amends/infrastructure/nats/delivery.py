"""What JetStream's reply subject tells of a delivered message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

_SHORT: Final = 9
_BILLION: Final = 1_000_000_000


class Delivery(NamedTuple):
    consumer: str
    deliveries: int
    sequence: int
    received: datetime


def parse(reply: str) -> Delivery:
    """Read `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<sequence>.<n>.<time>.<pending>[.<
    random>]`.
    """
    tokens = reply.split(".")
    first = 2 if len(tokens) == _SHORT else 4
    seconds, rest = divmod(int(tokens[first + 5]), _BILLION)
    return Delivery(
        tokens[first + 1],
        int(tokens[first + 2]),
        int(tokens[first + 3]),
        datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000),
    )
