"""An operator's action on a saga, decided and committed as a worker's batch is."""

from __future__ import annotations

from uuid import UUID

from amends.domain.errors import ActionRefused
from amends.domain.inputs import Action
from amends.infrastructure.ports import Loaded, Publisher, Store
from amends.process_managers.batch import Batch
from amends.process_managers.registry import Registry


async def act(
    store: Store, publisher: Publisher, registry: Registry, namespace: str, saga_id: UUID, action: Action
) -> None:
    """Decide, commit, publish; decide again where a worker was quicker. The same action again changes nothing.

    Raises `ActionRefused`, which says why; then nothing was changed.
    """
    lost = frozenset({saga_id})
    while lost:
        loaded = await store.load([saga_id])
        _check(saga_id, loaded)
        batch = Batch(registry, namespace, action.by, {saga_id: [action]}, loaded)
        commit = batch.decide()
        lost = await store.commit(commit)
        if not lost:
            messages = [message for _, message in commit.outbox]
            await publisher.publish(messages)
            await store.published([message.message_id for message in messages])


def _check(saga_id: UUID, loaded: Loaded) -> None:
    if saga_id in loaded.quarantined:
        raise ActionRefused(
            f"saga {saga_id} is in quarantine, because it could not be decided; "
            f"`amends show {saga_id}` tells why, and `amends release {saga_id}` ends it"
        )
    if saga_id in loaded.unreadable:
        raise ActionRefused(
            f"the history of saga {saga_id} cannot be read by this version of Amends: {loaded.unreadable[saga_id]}"
        )
