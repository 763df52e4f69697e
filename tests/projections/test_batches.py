"""Reading ahead gives what reading anew would give."""

from __future__ import annotations

from typing import Any, cast

from amends.infrastructure.postgres.copies import Copies
from amends.projections.batches import Batches

Row = tuple[int, str, int, str, bytes]


class Log:
    """An event log in memory, and the places at which it was read."""

    def __init__(self, count: int) -> None:
        self.rows: list[Row] = []
        self.read_after: list[int] = []
        self.grow(count)

    def grow(self, count: int) -> None:
        for position in range(len(self.rows) + 1, len(self.rows) + count + 1):
            self.rows.append((position, "saga", position, "saga.completed:1", b"{}"))

    async def read(self, after: int, until: int | None, limit: int) -> list[Row]:
        self.read_after.append(after)
        return [row for row in self.rows if after < row[0] <= (until or len(self.rows))][:limit]


async def positions(batches: Batches, after: int, until: int | None = None, limit: int = 3) -> list[int]:
    return [event.position for event in (await batches.read(after, until, limit)).events]


def over(log: Any) -> Batches:
    return Batches(cast("Copies", log))


async def test_a_full_batch_is_read_while_the_one_before_is_taken_in() -> None:
    log = Log(8)
    async with over(log) as batches:
        assert await positions(batches, 0) == [1, 2, 3]
        assert await positions(batches, 3) == [4, 5, 6]
        assert await positions(batches, 6) == [7, 8]
    assert log.read_after == [0, 3, 6, 6], "what is not full may have grown, and is read again"


async def test_what_came_after_it_was_read_ahead_is_not_missed() -> None:
    log = Log(4)
    async with over(log) as batches:
        assert await positions(batches, 0) == [1, 2, 3]
        await batches.read(99, None, 3)  # another copy; meanwhile the next batch is read, which is not full
        log.grow(2)
        assert await positions(batches, 3) == [4, 5, 6]


async def test_nothing_is_taken_in_beyond_the_place_of_the_next_copy() -> None:
    log = Log(9)
    async with over(log) as batches:
        assert await positions(batches, 0) == [1, 2, 3]
        assert await positions(batches, 3, until=5) == [4, 5]
        assert await positions(batches, 5, until=None) == [6, 7, 8]


async def test_a_copy_that_stands_elsewhere_reads_for_itself() -> None:
    log = Log(9)
    async with over(log) as batches:
        assert await positions(batches, 0) == [1, 2, 3]
        assert await positions(batches, 8) == [9]
        assert await positions(batches, 3) == [4, 5, 6]
    assert log.read_after[:3] == [0, 3, 8] or log.read_after[:3] == [0, 8, 3]


async def test_an_event_that_cannot_be_read_ends_the_batch() -> None:
    log = Log(3)
    log.rows[1] = (2, "saga", 2, "saga.unheard-of:1", b"{}")
    async with over(log) as batches:
        events, unreadable, _ = await batches.read(0, None, 3)
    assert [event.position for event in events] == [1]
    assert "upgrade this program" in unreadable
    assert log.read_after == [0], "nothing is read ahead of it"
