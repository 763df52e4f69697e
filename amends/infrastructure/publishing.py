"""Publishing where one message that cannot be sent must not hold up the others."""

from __future__ import annotations

from collections.abc import Sequence

from amends.infrastructure.broker import MessageTooLarge, NotStored, PublishFailed, Unsendable
from amends.infrastructure.ports import Outgoing, Publisher


async def publish_all_that_can_be(publisher: Publisher, messages: Sequence[Outgoing]) -> dict[str, NotStored]:
    """Returns when all are stored, except those that are returned: by message id, with the broker's reason."""
    refused: dict[str, NotStored] = {}
    remaining = messages
    while remaining:
        try:
            await publisher.publish(remaining)
            break
        except PublishFailed as error:
            refused |= {each.message.message_id: each for each in error.failures}
            if not isinstance(error, MessageTooLarge | Unsendable):
                break  # the others are stored
            remaining = [each for each in remaining if each.message_id not in refused]
    return refused
