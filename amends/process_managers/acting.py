"""An operator's action on a saga, decided and committed as a worker's batch is."""

from __future__ import annotations

from uuid import UUID

from amends.domain.correlation import LearntKey
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Action
from amends.infrastructure.broker import PublishFailed
from amends.infrastructure.ports import Commit, KeysTaken, Loaded, Outgoing, Publisher, Store
from amends.process_managers.batch import Batch
from amends.process_managers.registry import Registry


async def act(
    store: Store, publisher: Publisher, registry: Registry, namespace: str, saga_id: UUID, action: Action
) -> None:
    """Decide, commit, publish; decide again where a worker was quicker. The same action again changes nothing.

    Raises `ActionRefused`, which says why; then nothing was changed.
    """
    refused: frozenset[tuple[UUID, LearntKey]] = frozenset()
    while True:
        loaded = await store.load([saga_id])
        _check(saga_id, loaded)
        commit = Batch(registry, namespace, action.by, {saga_id: [action]}, loaded, refused=refused).decide()
        try:
            lost = await store.commit(commit)
        except KeysTaken as clash:
            refused |= clash.claims
            continue
        if not lost:
            await _publish(store, publisher, commit)
            return


async def _publish(store: Store, publisher: Publisher, commit: Commit) -> None:
    messages: list[Outgoing] = [message for _, message in commit.outbox]
    refused: frozenset[str] = frozenset()
    try:
        await publisher.publish(messages)
    except PublishFailed as error:  # they stay in the outbox, and a worker tries again
        refused = frozenset(message.message_id for message in error.messages)
    await store.published([m.message_id for m in messages if m.message_id not in refused])


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
