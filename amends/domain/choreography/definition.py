"""How a choreography is written: a class whose attributes are the links of its chain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal

from amends.domain.choreography.chain import Chain, Link, Overdue
from amends.domain.choreography.checking import check
from amends.domain.correlation import Correlation
from amends.domain.definition import ASKS_NOBODY, Definition, StepDefinition
from amends.domain.errors import DefinitionError
from amends.domain.messages import Event
from amends.domain.policy import LONGEST
from amends.domain.state import SagaState
from amends.domain.waiting import Waiting

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of one service; made by `link`, and named by the attribute that holds it."""

    after: tuple[type[Event], ...]
    service: str
    publishes: type[Event]
    within: timedelta | None
    overdue: Overdue
    compensating: bool


def link(
    after: type[Event] | tuple[type[Event], ...],
    service: str,
    publishes: type[Event],
    /,
    *,
    within: timedelta | None = None,
    overdue: Literal["flag", "republish", "compensate"] = "flag",
    compensating: bool = False,
) -> Expected:
    """After the event `after`, this service publishes the event `publishes`.

    `within` is how long that may take; by default until the chain's deadline. When it is `overdue`, a person is
    called (`flag`); or the service is asked to publish again what it has (`republish`), and a person is called if
    that helps nothing within the same time; or the chain is turned back (`compensate`). A `compensating` link is one
    of those that undo, and may come after any of several events: one that only such links come after turns the chain
    back. Raises `DefinitionError`.
    """
    events = after if isinstance(after, tuple) else (after,)
    where = f"link({', '.join(getattr(event, '__name__', str(event)) for event in events)}, {service!r})"
    if within is not None and not timedelta(0) < within <= LONGEST:
        raise DefinitionError(
            f"{where}: expected within= to be more than nothing and at most a century, got {within}"
        )
    if overdue not in list(Overdue):
        raise DefinitionError(
            f"{where}: expected overdue to be 'flag', 'republish' or 'compensate', got {overdue!r}"
        )
    return Expected(events, service, publishes, within, Overdue(overdue), compensating)


class Choreography:
    """Services that react to each other's events, as an observer sees them. It asks none of them for anything.

    An instance begins with the event that the first link comes after. `key` names the fields by which every event of
    the chain tells which instance it belongs to. `deadline` limits the whole chain. `compensate_with` is the event
    that turns it back: an observer publishes it when a link with `overdue="compensate"` is silent for too long, or
    when an operator cancels. It must be made of the key alone.

    Raises `DefinitionError` when the class is made, where anything about it cannot work.
    """

    definition: ClassVar[Definition]

    def __init_subclass__(
        cls,
        *,
        name: str,
        version: int,
        key: str | Sequence[str],
        deadline: timedelta | None = None,
        compensate_with: type[Event] | None = None,
        **kw: Any,
    ) -> None:
        super().__init_subclass__(**kw)
        if not _NAME.fullmatch(name):
            raise DefinitionError(
                f"{cls.__name__}: expected a name of lower-case letters, digits, '-' and '_', got {name!r}"
            )
        names = (key,) if isinstance(key, str) else tuple(key)
        chain = Chain(names, tuple(_links(cls)), compensate_with)
        check(name, version, deadline, chain)
        cls.definition = _definition(name, version, deadline, chain)


def _links(cls: type) -> Iterator[Link]:
    """The links in the order of their declaration; a subclass may replace one in its place."""
    found: dict[str, Expected] = {}
    for base in reversed(cls.__mro__):
        found |= {name: value for name, value in vars(base).items() if isinstance(value, Expected)}
    for name, each in found.items():
        yield Link(
            name, each.after, each.service, each.publishes, each.within, each.overdue, each.compensating
        )


def _definition(name: str, version: int, deadline: timedelta | None, chain: Chain) -> Definition:
    start = chain.links[0].after[0]
    steps = tuple(_step(link, chain, deadline) for link in chain.links)
    heard = [link.publishes for link in chain.links]
    heard += [event for link in chain.compensation for event in link.after]
    heard += [chain.compensate_with] if chain.compensate_with else []
    return Definition(
        name=name,
        version=version,
        key=chain.key,
        start=start,
        deadline=deadline,
        steps=steps,
        view=_view,
        listens=tuple(Correlation(event, chain.key) for event in dict.fromkeys(heard)),
        chain=chain,
    )


def _step(link: Link, chain: Chain, deadline: timedelta | None) -> StepDefinition:
    """The link as a step that waits for its event."""
    # A link that undoes begins after any of its events, and not only when all came before it.
    before = () if link.compensating else tuple(o.name for o in chain.forward if o.publishes in link.after)
    wait = Waiting(Correlation(link.publishes, chain.key), link.within or deadline or LONGEST)
    return StepDefinition(link.name, ASKS_NOBODY, None, pivot=False, after=before, wait=wait)


def _view(state: SagaState) -> SagaState:
    return state
