"""Lists a page at a time: filters that can be, and cursors that belong to their list and filters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject
from amends.domain.state import Status
from amends.projections.cursors import Place, cursor, read_cursor
from amends.projections.sagas.standing import REASONS

MOST: Final = 1000
"""Rows that a page has at most."""


class ImpossibleFilter(AmendsError):
    """A filter that nothing can match: a status or a reason that there is not, or a page of no rows."""


class CursorOfAnotherQuery(AmendsError):
    """A page cursor was handed out for another list, or for other filters."""


class Views(Protocol):
    """The SQL views, as the lists need them."""

    async def rows(self, query: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the statement of this name yields."""
        ...


@dataclass(frozen=True)
class Listing:
    """A list: the statement that it is read by, and the columns that say where in it a row stands.

    One that `follows` is of a view that takes in events, and may be behind.
    """

    query: str
    place: tuple[str, ...]
    filters: tuple[str, ...]
    follows: bool = True


SAGAS: Final = Listing("sagas", ("started", "saga_id"), ("saga", "definition", "status", "key", "older_than"))
STUCK: Final = Listing("stuck", ("since", "saga_id"), ("saga", "definition", "reason", "older_than"))
TIMERS: Final = Listing("timers", ("due", "saga_id", "kind", "step", "name"), ("saga", "definition"))
DEAD_LETTERS: Final = Listing(
    "dead_letters", ("at", "message_id"), ("saga", "subject", "older_than"), follows=False
)


@dataclass(frozen=True)
class Page:
    """Some rows as JSON; `next` is where the following page begins, empty after the last.

    `behind` is how many events the view does not show yet, None where it is no projection.
    """

    rows: Sequence[JsonObject]
    next: str
    behind: int | None

    def as_json(self) -> JsonObject:
        return {"rows": list(self.rows), "next": self.next, "behind": self.behind}


async def page(
    views: Views, listing: Listing, filters: Mapping[str, Any], after: str = "", limit: int = 50
) -> Page:
    """A page of the list. Raises `ImpossibleFilter`, `BadCursor`, `CursorOfAnotherQuery`."""
    _check(filters, limit)
    wanted = {name: filters.get(name) for name in listing.filters}
    place = _place(listing, wanted, after) if after else [None] * len(listing.place)
    places = {f"after_{name}": value for name, value in zip(listing.place, place, strict=True)}
    # One row more than asked for tells whether there is another page.
    rows = await views.rows(listing.query, {**wanted, **places, "limit": limit + 1})
    more = len(rows) > limit
    shown = [plain(row) for row in rows[:limit]]
    behind = await _behind(views, shown) if listing.follows else None
    return Page(shown, _cursor(listing, wanted, rows[limit - 1]) if more else "", behind)


async def _behind(views: Views, shown: Sequence[JsonObject]) -> int:
    """How many events are not shown yet: each row says so; where there is none, the view is asked."""
    if shown:
        return max(row.pop("behind") or 0 for row in shown)
    return max((row["behind"] for row in await views.rows("behind", {})), default=0)


def plain(row: Mapping[str, Any]) -> JsonObject:
    """A row of a view as JSON."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, UUID) else value


def _check(filters: Mapping[str, Any], limit: int) -> None:
    if not 1 <= limit <= MOST:
        raise ImpossibleFilter(f"expected a page of 1 to {MOST} rows, got {limit}")
    known = {"status": [str(status) for status in Status], "reason": list(REASONS)}
    for name, values in known.items():
        came = filters.get(name)
        if came is not None and came not in values:
            raise ImpossibleFilter(f"expected {name} to be one of {', '.join(values)}; got {came!r}")
    if filters.get("definition") is not None and not filters.get("saga"):
        raise ImpossibleFilter("expected a type with the version, such as order@1; got the version alone")


def _cursor(listing: Listing, wanted: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    return cursor(_query(listing, wanted), [last[name] for name in listing.place])


def _place(listing: Listing, wanted: Mapping[str, Any], after: str) -> Place:
    place = read_cursor(_query(listing, wanted), after)
    if place is None:
        raise CursorOfAnotherQuery(
            f"expected a cursor of this list with these filters ({_told(wanted)}), got one of another; "
            "begin with the first page, without a cursor"
        )
    return place


def _query(listing: Listing, wanted: Mapping[str, Any]) -> str:
    return json.dumps([listing.query, wanted], sort_keys=True, default=str)


def _told(wanted: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in wanted.items() if value is not None) or "none"
