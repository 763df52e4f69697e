"""Lists a page at a time: filters, cursors, and dead letters that somebody sees to."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from amends.domain import events as e
from amends.domain.errors import AmendsError
from amends.infrastructure.broker import Unsendable
from amends.infrastructure.ports import Commit, DeadLetter, Incoming, Outgoing
from amends.infrastructure.postgres.views import PostgresViews
from amends.projections.cursors import BadCursor
from amends.projections.dead_letters import LetterNotFound, discard, requeue
from amends.projections.paging import CursorOfAnotherQuery, ImpossibleFilter, Page
from amends.projections.queries import Queries, SeveralSagas
from amends.projections.runner import Runner
from tests.infrastructure.store_data import dead, incoming
from tests.projections.conftest import NAMESPACE, Place

NOW = datetime.now(UTC)
BY = {"cause": "m-1", "by": "w1"}
Read = Callable[[str, int], Awaitable[Page]]


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.fixture
async def views(place: Place) -> AsyncIterator[PostgresViews]:
    async with PostgresViews.open(place.url, NAMESPACE) as opened:
        yield opened


@pytest.fixture
async def queries(place: Place, views: PostgresViews) -> Queries:
    return Queries(place.store, views)


async def placed(place: Place, key: str, *, ago: int = 0, saga: str = "order", done: bool = False) -> None:
    """A saga that started so many hours ago."""
    at = NOW - timedelta(hours=ago)
    start = e.SagaStarted(
        at=at, saga=saga, definition=1, namespace="test", key=key, subject="orders.placed", start={}, **BY
    )
    asked = e.CommandRecorded(
        at=at, step="charge", payload={}, command_id=uuid4(), key=uuid4(), subject="payments.charge",
        reply_subject="x", expires=at + timedelta(minutes=1), **BY,
    )  # fmt: skip
    await place.record(uuid4(), start, e.SagaCompleted(at=at, **BY) if done else asked)


async def shown(place: Place) -> None:
    await Runner(place.url, NAMESPACE).catch_up()


async def through(read: Read, column: str, limit: int = 2) -> list[Any]:
    """That column of every page, one after the other."""
    page = await read("", limit)
    found = [row[column] for row in page.rows]
    while page.next:
        page = await read(page.next, limit)
        found += [row[column] for row in page.rows]
    return found


async def test_sagas_are_listed_latest_first_a_page_at_a_time(place: Place, queries: Queries) -> None:
    for number in range(5):
        await placed(place, f"o{number}", ago=number)
    await shown(place)
    assert await through(lambda after, limit: queries.sagas({}, after, limit), "key") == [
        "o0",
        "o1",
        "o2",
        "o3",
        "o4",
    ]
    page = await queries.sagas({}, limit=5)
    assert (page.next, page.behind) == ("", 0)


async def test_what_starts_meanwhile_moves_no_page(place: Place, queries: Queries) -> None:
    for number in range(3):
        await placed(place, f"o{number}", ago=number)
    await shown(place)
    first = await queries.sagas({}, limit=2)
    await placed(place, "newer")
    await shown(place)
    assert [row["key"] for row in (await queries.sagas({}, first.next, 2)).rows] == ["o2"]


async def test_sagas_are_listed_by_filters(place: Place, queries: Queries) -> None:
    await placed(place, "o1", ago=10)
    await placed(place, "o2", done=True)
    await placed(place, "t1", saga="trip", ago=3)
    await shown(place)
    wanted: list[tuple[dict[str, Any], list[str]]] = [
        ({"saga": "order"}, ["o2", "o1"]),
        ({"saga": "order", "definition": 2}, []),
        ({"status": "completed"}, ["o2"]),
        ({"key": "t1"}, ["t1"]),
        ({"older_than": timedelta(hours=5)}, ["o1"]),
        ({"saga": "order", "status": "running", "older_than": timedelta(hours=5)}, ["o1"]),
    ]
    for filters, expected in wanted:
        assert [row["key"] for row in (await queries.sagas(filters)).rows] == expected, filters


async def test_a_list_says_how_many_events_it_does_not_show_yet(place: Place, queries: Queries) -> None:
    await placed(place, "o1")
    assert (await queries.sagas({})).as_json() == {"rows": [], "next": "", "behind": 2}
    await shown(place)
    await placed(place, "o2")
    page = await queries.sagas({})
    assert ([row["key"] for row in page.rows], page.behind) == (["o1"], 2)


async def test_what_stands_longest_is_first_with_the_reason_and_what_would_help(
    place: Place, queries: Queries
) -> None:
    for number in (1, 3, 2):
        await placed(place, f"o{number}", ago=number)
    await placed(place, "done", ago=9, done=True)
    await shown(place)
    assert await through(lambda after, limit: queries.stuck({}, after, limit), "key") == ["o3", "o2", "o1"]
    [row] = (await queries.stuck({"older_than": timedelta(hours=2.5), "saga": "order"})).rows
    assert (row["key"], row["step"]) == ("o3", "charge")
    assert row["help"].startswith("amends ")
    assert [r["key"] for r in (await queries.stuck({"reason": row["reason"]})).rows] == ["o3", "o2", "o1"]
    assert (await queries.stuck({"reason": "suspended"})).rows == []


async def test_timers_are_listed_as_they_fall_due(place: Place, queries: Queries) -> None:
    for number in (2, 1, 3):
        await placed(place, f"o{number}", ago=number)
    await shown(place)
    assert await through(lambda after, limit: queries.timers({}, after, limit), "key") == ["o3", "o2", "o1"]
    assert (await queries.timers({"saga": "trip"})).rows == []
    assert (await queries.timers({"saga": "order", "definition": 2})).rows == []


async def test_dead_letters_are_listed_and_shown(place: Place, queries: Queries) -> None:
    for number in range(3):
        await place.store.commit(Commit(dead=[dead(f"m{number}")]))
    assert await through(lambda after, limit: queries.dead_letters({}, after, limit), "message_id") == [
        "m2",
        "m1",
        "m0",
    ]
    assert (await queries.dead_letters({"subject": "test.orders.paid"})).rows == []
    letter = await queries.dead_letter("m1")
    assert (letter["reason"], letter["subject"], letter["sequence"]) == ("not JSON", "test.orders.placed", 7)
    with pytest.raises(LetterNotFound, match="got 'm7'"):
        await queries.dead_letter("m7")


@pytest.mark.parametrize(
    ("filters", "limit", "error"),
    [
        ({"status": "finished"}, 5, "expected status to be one of running, compensating"),
        ({"reason": "lazy"}, 5, "expected reason to be one of awaiting a reply"),
        ({"definition": 1}, 5, "expected a type with the version"),
        ({}, 0, "expected a page of 1 to 1000 rows, got 0"),
        ({}, 1001, "expected a page of 1 to 1000 rows, got 1001"),
    ],
)
async def test_an_impossible_filter(
    queries: Queries, filters: dict[str, Any], limit: int, error: str
) -> None:
    with pytest.raises(ImpossibleFilter, match=error):
        await queries.sagas(filters, limit=limit)


async def test_a_cursor_belongs_to_its_list_and_its_filters(place: Place, queries: Queries) -> None:
    for number in range(2):
        await placed(place, f"o{number}", ago=number)
    await shown(place)
    cursor = (await queries.sagas({"saga": "order"}, limit=1)).next
    assert len(cursor) < 50, "it is to be copied by hand"
    assert [row["key"] for row in (await queries.sagas({"saga": "order"}, cursor, 1)).rows] == ["o1"]
    changed = ("B" if cursor[-2] == "A" else "A").join((cursor[:-2], cursor[-1]))
    with pytest.raises(BadCursor, match="expected a cursor as the page before gave it"):
        await queries.sagas({"saga": "order"}, changed)
    for other in (
        queries.sagas({}, cursor),
        queries.sagas({"saga": "order", "status": "running"}, cursor),
        queries.stuck({"saga": "order"}, cursor),
    ):
        with pytest.raises(CursorOfAnotherQuery, match="begin with the first page"):
            await other


@pytest.mark.parametrize("cursor", ["nonsense", "ü", "e30", encoded('["a", ["b"], "c"]'), encoded("[1]")])
async def test_a_cursor_that_nobody_handed_out(queries: Queries, cursor: str) -> None:
    with pytest.raises(BadCursor, match="expected a cursor as the page before gave it"):
        await queries.sagas({}, cursor)


async def test_a_key_that_several_types_have_is_refused(place: Place, queries: Queries) -> None:
    await placed(place, "same")
    await placed(place, "same", saga="trip")
    with pytest.raises(SeveralSagas, match="name one by its id"):
        await queries.find("same")


class Told:
    """A publisher that keeps what it is given, or fails."""

    def __init__(self, error: AmendsError | None = None) -> None:
        self.messages: list[Outgoing] = []
        self._error = error

    async def publish(self, messages: Any) -> None:
        if self._error is not None:
            raise self._error
        self.messages += messages


async def settled(place: Place) -> list[tuple[str, str, str, str]]:
    rows = await place.query("SELECT message_id, deed, by, reason FROM test.settled_letters ORDER BY seq")
    return [(row["message_id"], row["deed"], row["by"], row["reason"]) for row in rows]


async def test_a_requeued_letter_is_sent_as_it_came_and_noted(place: Place, views: PostgresViews) -> None:
    letter = DeadLetter(
        Incoming("test.evt.orders.placed", {"ce-id": "m1"}, b"\\x00 not JSON", NOW, 7, consumer="starts"),
        "m1", "worker", "not JSON",
    )  # fmt: skip
    await place.store.commit(Commit(dead=[letter]))
    publisher = Told()
    await requeue(views, place.store, publisher, "m1", by="anna", reason="mended")
    [message] = publisher.messages
    assert (message.subject, message.headers, message.body) == (
        letter.message.subject,
        letter.message.headers,
        letter.message.body,
    )
    assert message.deduplication_id not in ("", "m1")
    assert await settled(place) == [("m1", "requeued", "anna", "mended")]
    assert not await place.store.unpublished(10, timedelta(0))
    await place.store.commit(Commit(dead=[letter]))
    assert len(await views.rows("take_letter", {"message_id": "m1"})) == 1, "it may come back"


async def test_a_letter_whose_requeuing_was_cut_off_is_sent_by_a_worker(
    place: Place, views: PostgresViews
) -> None:
    letter = DeadLetter(Incoming("test.evt.a.b", {"ce-id": "m1"}, b"{}", NOW, 7), "m1", "worker", "odd")
    await place.store.commit(Commit(dead=[letter]))
    with pytest.raises(LetterNotFound):
        await requeue(views, place.store, Told(LetterNotFound("cut off")), "m1", by="anna", reason="mended")
    [left] = await place.store.unpublished(10, timedelta(0))
    assert (left.subject, left.headers) == ("test.evt.a.b", {"ce-id": "m1"})


async def test_a_letter_that_cannot_travel_stays(
    place: Place, views: PostgresViews, queries: Queries
) -> None:
    odd = DeadLetter(Incoming("test.evt.a.b", {"note": "two\nlines"}, b"{}", NOW, 7), "m1", "worker", "odd")
    await place.store.commit(Commit(dead=[odd]))
    with pytest.raises(Unsendable):
        await requeue(views, place.store, Told(), "m1", by="anna", reason="mended")
    assert len((await queries.dead_letters({})).rows) == 1


async def test_a_discarded_letter_leaves_the_list_and_is_kept_beside_it(
    place: Place, views: PostgresViews, queries: Queries
) -> None:
    await place.store.commit(Commit(dead=[dead("m1")]))
    await discard(views, "m1", by="anna", reason="a test message")
    assert (await queries.dead_letters({})).rows == []
    assert await settled(place) == [("m1", "discarded", "anna", "a test message")]
    [row] = await place.query("SELECT body FROM test.settled_letters")
    assert bytes(row["body"]) == incoming().body
    with pytest.raises(LetterNotFound):
        await discard(views, "m1", by="anna", reason="again")
    with pytest.raises(LetterNotFound):
        await requeue(views, place.store, Told(), "m1", by="anna", reason="again")
