"""An operator's action on a saga, decided and committed as a worker's batch is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from amends.domain.correlation import LearntKey
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Abandon, Action, Migrate, Release
from amends.infrastructure.ports import Commit, CommitRefused, KeysTaken, Loaded, Outgoing, Publisher, Store
from amends.infrastructure.publishing import publish_all_that_can_be
from amends.process_managers.batch import Batch
from amends.process_managers.registry import Registry

_ENDS_QUARANTINE: Final = (Abandon, Migrate)
"""What can be done to a saga in quarantine beside releasing it; it then leaves it."""


async def act(
    store: Store, publisher: Publisher, registry: Registry, namespace: str, saga_id: UUID, action: Action
) -> None:
    """Decide, commit, publish; decide again where a worker was quicker. The same action again changes nothing.

    Raises `ActionRefused`, which says why; then nothing was changed.
    """
    refused: frozenset[tuple[UUID, LearntKey]] = frozenset()
    limits = await store.limits.in_force()
    while True:
        loaded = await store.load([saga_id], in_quarantine=True)
        if _is_applied(saga_id, loaded, action):
            return
        if isinstance(action, Release) and not _has_history(saga_id, loaded):
            if not await store.release_unbegun(saga_id, action.message_id, action.by, action.reason):
                raise _not_in_quarantine(saga_id)
            return
        released = _released(saga_id, loaded, action)
        told = {saga_id: [action]}
        loaded = replace(loaded, quarantined=frozenset())
        batch = Batch(registry, namespace, action.by, told, loaded, refused=refused, limits=limits)
        commit = batch.decide()
        try:
            lost = await store.commit(replace(commit, released=released))
        except KeysTaken as clash:
            refused |= clash.claims
            continue
        except CommitRefused as error:
            raise ActionRefused(f"nothing was changed, for {error}") from error
        if not lost:
            await _publish(store, publisher, commit)
            return


def _released(saga_id: UUID, loaded: Loaded, action: Action) -> frozenset[UUID]:
    """The saga, where the action ends its quarantine. Raises `ActionRefused` where the quarantine forbids it."""
    if saga_id not in loaded.quarantined:
        if isinstance(action, Release):
            raise _not_in_quarantine(saga_id)
        if saga_id in loaded.unreadable:
            raise ActionRefused(f"the history of saga {saga_id} cannot be read: {loaded.unreadable[saga_id]}")
        return frozenset()
    if isinstance(action, Release) or (
        isinstance(action, _ENDS_QUARANTINE) and _has_history(saga_id, loaded)
    ):
        return frozenset({saga_id})
    raise ActionRefused(
        f"saga {saga_id} is in quarantine, because it could not be decided; "
        f"`amends show {saga_id}` tells why, and `amends release {saga_id}` ends it"
    )


def _not_in_quarantine(saga_id: UUID) -> ActionRefused:
    return ActionRefused(f"expected a saga in quarantine to release; saga {saga_id} is in none")


def _is_applied(saga_id: UUID, loaded: Loaded, action: Action) -> bool:
    """The request came before, and its quarantine may be over since."""
    saga = loaded.aggregates.get(saga_id)
    return saga is not None and saga.state is not None and action.message_id in saga.state.actions


def _has_history(saga_id: UUID, loaded: Loaded) -> bool:
    """It has begun, and its history can be read: only then can something be recorded in it."""
    return saga_id in loaded.aggregates and loaded.aggregates[saga_id].version > 0


async def _publish(store: Store, publisher: Publisher, commit: Commit) -> None:
    messages: list[Outgoing] = [message for _, message in commit.outbox]
    # What is refused stays in the outbox, and a worker tries again.
    refused = await publish_all_that_can_be(publisher, messages)
    await store.published([m.message_id for m in messages if m.message_id not in refused])
