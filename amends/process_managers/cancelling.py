"""Cancelling a saga from outside of a worker."""

from __future__ import annotations

from uuid import UUID

from amends.domain.definition import Definition
from amends.domain.inputs import Cancel
from amends.infrastructure.clock import fresh_name
from amends.infrastructure.ports import Publisher, Store
from amends.process_managers.batch import Batch
from amends.process_managers.registry import Registry


async def cancel(
    store: Store,
    publisher: Publisher,
    definition: Definition,
    namespace: str,
    saga_id: UUID,
    *,
    by: str,
    reason: str,
) -> None:
    """Undo the saga, or close its pivot where that is out. Raises `ActionRefused` where there is no way back."""
    request = Cancel(f"cancel-{fresh_name()}", reason)
    lost = frozenset({saga_id})
    while lost:
        loaded = await store.load([saga_id])
        batch = Batch(Registry([definition]), namespace, by, {saga_id: [request]}, loaded)
        commit = batch.decide()
        lost = await store.commit(commit)
        if not lost:
            messages = [message for _, message in commit.outbox]
            await publisher.publish(messages)
            await store.published([message.message_id for message in messages])
