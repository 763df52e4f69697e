"""Sagas that this worker saved last, so that their histories need not be read again for every message."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from amends.domain.aggregate import SagaAggregate
from amends.domain.told import Start
from amends.process_managers.batch import Told
from amends.process_managers.routing import Routed

_MANY: Final = 8
"""One in so many out of date is too many."""

_PAUSE: Final = 100
"""For how many batches nothing is remembered then."""


class Remembered:
    """The latest sagas that are not over, at most `limit`; what is used least lately is forgotten first.

    Another worker may have gone on with any of them meanwhile. Nothing needs to be told of that: a commit that
    expects an old version is refused, and then the saga is loaded. Where that happens to many, because workers
    share the messages of the same sagas, remembering costs more than it saves, and is given up for a while.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sagas: OrderedDict[UUID, SagaAggregate] = OrderedDict()
        self._pause = 0  # batches until sagas are remembered again

    def take(self, told: Mapping[UUID, Sequence[Told]]) -> dict[UUID, SagaAggregate]:
        """Those of the sagas that need not be loaded; they are forgotten here until they are kept again.

        A saga that is told to start is taken for a new one: were it not, its commit would be refused.
        """
        self._pause = max(0, self._pause - 1)
        taken: dict[UUID, SagaAggregate] = {}
        for saga_id, items in told.items():
            saga = self._sagas.pop(saga_id, None)
            if saga is not None:
                taken[saga_id] = saga
            elif isinstance(items[0], Routed) and isinstance(items[0].given, Start):
                taken[saga_id] = SagaAggregate(saga_id)
        return taken

    def keep(self, sagas: Iterable[SagaAggregate]) -> None:
        """Remember these, which are as the store has them."""
        for saga in sagas:
            if not self._pause and saga.state is not None and not saga.state.status.final:
                self._sagas[saga.id] = saga
                self._sagas.move_to_end(saga.id)
        while len(self._sagas) > self._limit:
            self._sagas.popitem(last=False)

    def check(self, taken: Collection[UUID], stale: int) -> None:
        """So many of those that were taken turned out to be out of date."""
        if stale > 1 and stale * _MANY > len(taken):
            self._sagas.clear()
            self._pause = _PAUSE
