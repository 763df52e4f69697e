"""A choreography on paper: its chain, the chain that undoes it, and what silence leads to; from the shape alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from amends.domain.choreography.chain import Overdue
from amends.projections.design.outline import Design, duration

LINKS_HEAD: Final = ("link", "after", "service", "publishes", "within", "when overdue")

_OVERDUE: Final = {
    Overdue.FLAG: "a person is called",
    Overdue.REPUBLISH: "it is asked to publish again, then a person is called",
    Overdue.COMPENSATE: "the chain is turned back",
}


@dataclass(frozen=True)
class Link:
    """What is expected of one service. `after` are subjects, of which any will do; `within` is in seconds."""

    name: str
    after: tuple[str, ...]
    service: str
    publishes: str
    within: float | None
    overdue: Overdue
    compensating: bool


@dataclass(frozen=True)
class Broken:
    """A row of the failure table: what happened at a point, the links that then undo in rows, and how it ends."""

    point: str
    what: str
    chain: tuple[tuple[Link, ...], ...]
    tells: str
    compensated: bool


def links(design: Design) -> Sequence[Link]:
    """The links in their order; none where the design is no choreography."""
    return [
        Link(
            name=each["name"],
            after=tuple(event["subject"] for event in each["after"]),
            service=each["service"],
            publishes=each["publishes"]["subject"],
            within=each["within"],
            overdue=Overdue(each["overdue"]),
            compensating=each["compensating"],
        )
        for each in design.shape.get("links") or ()
    ]


def link_rows(design: Design, *, compensating: bool) -> Iterator[Sequence[str]]:
    """A row for each link of the chain, or of the chain that undoes it."""
    for link in links(design):
        if link.compensating is compensating:
            limit = "the deadline" if link.within is None else duration(link.within)
            after = " or ".join(link.after)
            yield link.name, after, link.service, link.publishes, limit, _OVERDUE[link.overdue]


def broken(design: Design) -> Iterator[Broken]:
    """Where the chain can break: each link's silence, each event that turns it back, and cancelling."""
    every = links(design)
    event = design.shape.get("compensate_with")
    compensate_with: str = event["subject"] if event else ""
    for link in every:
        limit = "the deadline" if link.within is None else duration(link.within)
        what = f"no {link.publishes} within {limit}"
        if link.overdue is Overdue.COMPENSATE:
            yield Broken(link.name, what, undoing(every, compensate_with), compensate_with, compensated=True)
        else:
            yield Broken(link.name, f"{what}: {_OVERDUE[link.overdue]}", (), "", compensated=False)
    for subject in turning(every, compensate_with):
        yield Broken("any link", f"{subject} comes", undoing(every, subject), "", compensated=True)
    if compensate_with:
        yield Broken(
            "any link", "cancelled", undoing(every, compensate_with), compensate_with, compensated=True
        )


def turning(every: Sequence[Link], compensate_with: str) -> Sequence[str]:
    """The subjects of the events that turn the chain back, in the order in which undoing begins with them."""
    told = {link.publishes for link in every}
    begins = [subject for link in every if link.compensating for subject in link.after if subject not in told]
    return list(dict.fromkeys([*begins, *([compensate_with] if compensate_with else [])]))


def undoing(every: Sequence[Link], subject: str) -> tuple[tuple[Link, ...], ...]:
    """The links that undo after an event on this subject, in rows, each after the one above."""
    rows: list[tuple[Link, ...]] = []
    heard, left = {subject}, [link for link in every if link.compensating]
    while row := tuple(link for link in left if heard & set(link.after)):
        rows.append(row)
        heard = {link.publishes for link in row}
        left = [link for link in left if link not in row]
    return tuple(rows)


def edges(design: Design) -> Iterator[tuple[str, str, Link]]:
    """From event to event, by the link between them."""
    for link in links(design):
        for subject in link.after:
            yield subject, link.publishes, link
