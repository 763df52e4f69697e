from __future__ import annotations

from datetime import UTC, datetime

import pytest

from amends.infrastructure.nats.delivery import Delivery
from amends.infrastructure.nats.progress import moment

NANOSECONDS = 1_767_323_045_123_456_789
RECEIVED = datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "reply",
    [
        f"$JS.ACK.EVENTS.saga-order.2.17.5.{NANOSECONDS}.0",
        f"$JS.ACK._.aGVsbG8.EVENTS.saga-order.2.17.5.{NANOSECONDS}.0",
        f"$JS.ACK.hub.aGVsbG8.EVENTS.saga-order.2.17.5.{NANOSECONDS}.0.x7Tq",
    ],
)
def test_both_forms_of_the_reply_subject_are_read(reply: str) -> None:
    assert Delivery.parse(reply) == Delivery("saga-order", 2, 17, RECEIVED)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-01-02T03:04:05.123456789Z", 123456),
        ("2026-01-02T03:04:05.1Z", 100000),
        ("2026-01-02T03:04:05Z", 0),
    ],
)
def test_a_moment_is_never_later_than_it_was(text: str, microsecond: int) -> None:
    assert moment(text) == RECEIVED.replace(microsecond=microsecond)
