"""What can be done about a message that could not be handled."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from amends.domain.errors import AmendsError
from amends.infrastructure.encoding import encode
from amends.infrastructure.ports import Outgoing, Publisher


class LetterNotFound(AmendsError):
    """There is no dead letter of this id."""

    def __init__(self, message_id: str) -> None:
        super().__init__(
            f"expected the message id of a dead letter, got {message_id!r}; `amends dead list` has them all"
        )


class Letters(Protocol):
    """Where dead letters are kept."""

    async def letter(self, message_id: str) -> Outgoing | None:
        """The message, to be sent again to where it came from; None: there is no such letter."""
        ...

    async def requeue(self, letter: Outgoing, by: str, reason: str) -> Outgoing | None:
        """Take it off the list and put it into the outbox; None: there is no such letter any more."""
        ...

    async def discard(self, message_id: str, by: str, reason: str) -> bool:
        """Take it off the list; False: there is no such letter any more."""
        ...


class Outbox(Protocol):
    """What is told of messages that were published."""

    async def published(self, message_ids: Collection[str]) -> None:
        """These are stored by the broker."""
        ...


async def requeue(
    letters: Letters, outbox: Outbox, publisher: Publisher, message_id: str, *, by: str, reason: str
) -> None:
    """Send it again to where it came from, under its own id; whoever has handled it already drops it.

    Should we die on the way, a worker sends it. Raises `LetterNotFound`, `Unsendable`, `PublishFailed`.
    """
    letter = await letters.letter(message_id)
    if letter is None:
        raise LetterNotFound(message_id)
    encode([letter])  # raises where it could never be sent
    message = await letters.requeue(letter, by, reason)
    if message is None:
        raise LetterNotFound(message_id)
    await publisher.publish([message])
    await outbox.published([message.message_id])


async def discard(letters: Letters, message_id: str, *, by: str, reason: str) -> None:
    """Take it off the list. Raises `LetterNotFound`."""
    if not await letters.discard(message_id, by, reason):
        raise LetterNotFound(message_id)
