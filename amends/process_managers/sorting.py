"""Whose each message of a batch is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard
from uuid import UUID

from amends.domain.definition import InvalidMessage
from amends.domain.events import JsonObject
from amends.domain.told import Start
from amends.infrastructure.ports import Incoming, Store
from amends.process_managers.batch import Told
from amends.process_managers.errors import Unroutable
from amends.process_managers.registry import Registry, listening_version
from amends.process_managers.routing import NOBODY, Routed, Unheard, astray, route


@dataclass
class Sorted:
    """The messages of a batch by saga, in their order; under `NOBODY` those that name no saga that there is.

    `strays` are those that cannot be handled, with the reason; `ahead` are events with the version that listens to
    them, which is not held here; `waiting` are starts for which there is no slot.
    """

    told: dict[UUID, list[Told]] = field(default_factory=dict[UUID, list[Told]])
    strays: list[tuple[Incoming, str]] = field(default_factory=list[tuple[Incoming, str]])
    ahead: list[tuple[Unheard, int]] = field(default_factory=list[tuple[Unheard, int]])
    waiting: list[Routed] = field(default_factory=list[Routed])

    @property
    def left(self) -> bool:
        """There is something to be handled."""
        return bool(self.told or self.strays or self.ahead or self.waiting)

    def postpone(self, saga_id: UUID) -> None:
        """There is no slot for this saga: its starts wait."""
        items = self.told.pop(saga_id)
        self.waiting += [item for item in items if is_start(item)]
        if others := [item for item in items if not is_start(item)]:
            self.told[saga_id] = others

    def apart(self) -> list[Sorted]:
        """Each saga's part, each message of no saga, and all others by themselves."""
        parts = [Sorted({saga_id: told}) for saga_id, told in self.told.items() if saga_id != NOBODY]
        parts += [Sorted({NOBODY: [each]}) for each in self.told.get(NOBODY, ())]
        parts += [Sorted(strays=[each]) for each in self.strays]
        parts += [Sorted(waiting=[each]) for each in self.waiting]
        return parts + [Sorted(ahead=[each]) for each in self.ahead]


def is_start(item: Told) -> TypeGuard[Routed]:
    """It may start a saga."""
    return isinstance(item, Routed) and isinstance(item.given, Start)


class Sorting:
    """Sorts messages by what their headers and bodies say, and by what sagas learnt."""

    def __init__(
        self, registry: Registry, store: Store, namespace: str, known_types: Collection[str]
    ) -> None:
        self._registry = registry
        self._store = store
        self._namespace = namespace
        self._known_types = known_types

    async def sort(self, messages: Sequence[Incoming]) -> Sorted:
        """Whose each message is; keys that sagas learnt are looked up in one query."""
        result = Sorted()
        routed = [each for message in messages if (each := self._route(message, result))]
        heard = [each for each in routed if isinstance(each, Routed)]
        keys = {each.sought for each in heard if each.sought is not None}
        found = await self._store.find(keys) if keys else {}
        for each in heard:
            owner = found.get(each.sought, NOBODY) if each.sought else each.saga_id
            result.told.setdefault(owner, []).append(each)
        unheard = [each for each in routed if isinstance(each, Unheard)]
        if unheard:
            self._look_ahead(unheard, await self._store.shapes(), result)
        return result

    def _route(self, message: Incoming, result: Sorted) -> Routed | Unheard | None:
        try:
            routed = route(message, self._registry, self._namespace, self._known_types)
        except (Unroutable, InvalidMessage) as error:
            result.strays.append((message, str(error)))
            return None
        if routed is None and message.held:
            result.strays.append((message, "expected a message for a saga type that is held here"))
        return routed

    def _look_ahead(self, events: Iterable[Unheard], shapes: Sequence[JsonObject], result: Sorted) -> None:
        for event in events:
            version = listening_version(event.saga, event.subject, shapes)
            if version is not None:
                result.ahead.append((event, version))
                continue
            try:
                astray(event.message, event.saga, self._known_types)
            except Unroutable as error:
                result.strays.append((event.message, str(error)))
