"""What JetStream's reply subject tells of a delivered message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

_SHORT: Final = 9


class Delivery(NamedTuple):
    consumer: str
    deliveries: int
    sequence: int
    received: datetime

    @classmethod
    def parse(cls, reply: str) -> Self:
        """Read the subject in either of its forms.

        `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<n>.<nanoseconds>.<pending>`, or with
        `<domain>.<account>.` before the stream, and then perhaps more at the end.
        """
        tokens = reply.split(".")
        first = 2 if len(tokens) == _SHORT else 4
        received = datetime.fromtimestamp(int(tokens[first + 5]) // 1000 / 1_000_000, UTC)
        return cls(tokens[first + 1], int(tokens[first + 2]), int(tokens[first + 3]), received)
