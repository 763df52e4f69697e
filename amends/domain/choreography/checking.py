"""What is refused when a choreography is defined, because it could not be observed; each with its mend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from amends.domain.choreography.chain import Chain, Link, Overdue
from amends.domain.correlation import check_event, check_fields
from amends.domain.errors import DefinitionError
from amends.domain.messages import Event
from amends.domain.policy import LONGEST

_SERVICE = re.compile(r"[a-z0-9][a-z0-9_-]*")


def check(name: str, version: int, deadline: timedelta | None, chain: Chain) -> None:
    """Refuse what cannot be observed. Raises `DefinitionError`, which tells the mend."""
    where = f"choreography {name!r}"
    if version < 1:
        raise DefinitionError(f"{where}: expected a version of at least 1, got {version}")
    if deadline is not None and not timedelta(0) < deadline <= LONGEST:
        raise DefinitionError(
            f"{where}: expected a deadline of more than nothing and at most a century, got {deadline}"
        )
    if not chain.links or chain.links[0].compensating or len(chain.links[0].after) != 1:
        raise DefinitionError(
            f"{where}: expected it to begin with a link that comes after one event, which starts the chain"
        )
    for event in _events(chain):
        check_event(where, event)
        check_fields(where, event, chain.key)
    _check_order(where, chain)
    _check_publishers(where, chain)
    _check_compensating_event(where, chain)
    for link in chain.links:
        _check_link(f"{where}, {link.name!r}", link, chain, deadline)


def _events(chain: Chain) -> Iterator[type[Event]]:
    for link in chain.links:
        yield from (*link.after, link.publishes)
    if chain.compensate_with is not None:
        yield chain.compensate_with


def _check_order(where: str, chain: Chain) -> None:
    """Every event that a link comes after is known by then: the start, or what an earlier link publishes."""
    known = set(chain.links[0].after)
    for link in chain.forward:
        if unknown := [event.__name__ for event in link.after if event not in known]:
            raise DefinitionError(
                f"{where}: expected {link.name!r} to come after the start or an event of an earlier link "
                f"({', '.join(sorted(each.__name__ for each in known))}), got {', '.join(unknown)}"
            )
        known.add(link.publishes)
    for link in chain.compensation:
        if onwards := [event.__name__ for event in link.after if event in known]:
            raise DefinitionError(
                f"{where}: expected {link.name!r} to come after an event that turns the chain back, or one of "
                f"another compensating link; got {', '.join(onwards)}, with which the chain goes on"
            )


def _check_publishers(where: str, chain: Chain) -> None:
    publishers: dict[str, str] = {chain.links[0].after[0].subject: "the start"}
    for link in chain.links:
        other = publishers.setdefault(link.publishes.subject, link.name)
        if other != link.name:
            raise DefinitionError(
                f"{where}: expected each event to come from one place, got {link.publishes.__name__} from "
                f"{other!r} and {link.name!r}"
            )


def _check_compensating_event(where: str, chain: Chain) -> None:
    event = chain.compensate_with
    if event is None:
        return
    needed = {name for name, field in event.model_fields.items() if field.is_required()} - set(chain.key)
    if needed:
        raise DefinitionError(
            f"{where}: expected compensate_with= to be made of the key alone ({', '.join(chain.key)}); "
            f"{event.__name__} needs {', '.join(sorted(needed))} too; give that a default"
        )
    if event.subject not in chain.turning:
        raise DefinitionError(
            f"{where}: expected compensate_with= to be an event that turns the chain back, "
            f"got {event.__name__}, which a link publishes"
        )


def _check_link(where: str, link: Link, chain: Chain, deadline: timedelta | None) -> None:
    if link.within is None and (deadline is None or link.compensating):
        raise DefinitionError(
            f"{where}: expected within=, the time that {link.service} has; "
            + ("the deadline is for the way forwards" if deadline else "or a deadline for the whole chain")
        )
    if len(link.after) != 1 and not link.compensating:
        raise DefinitionError(
            f"{where}: expected it to come after one event; only a link that undoes may come after any of several"
        )
    if link.overdue is Overdue.COMPENSATE and link.compensating:
        raise DefinitionError(f"{where}: it undoes already; expected overdue='flag' or 'republish'")
    if link.overdue is Overdue.COMPENSATE and chain.compensate_with is None:
        raise DefinitionError(
            f"{where}: expected the choreography to name compensate_with=, the event that turns it back"
        )
    if not _SERVICE.fullmatch(link.service):
        raise DefinitionError(
            f"{where}: expected the name of a participant, of lower-case letters, digits, '-' and '_', got "
            f"{link.service!r}"
        )
    if not link.name.isascii():
        raise DefinitionError(f"{where}: expected a name in ASCII, because it travels in headers")
