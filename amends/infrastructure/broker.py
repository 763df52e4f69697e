"""What the brokers, the real one and the one in memory, have in common: specifications, marks and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol

from amends.domain import wire
from amends.domain.errors import AmendsError
from amends.infrastructure.ports import Outgoing

NO_MOMENT: Final = datetime.min.replace(tzinfo=UTC)
"""Before everything."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream as it must be: in files, with limits retention.

    `max_age` is how long messages stay, acknowledged or not. `discard` tells what happens when the stream is
    full (`max_messages`, `max_bytes`; -1: no limit): `new` refuses the new message, `old` drops the oldest.
    `replicas` counts when the stream is created; a stream that exists may have another number.
    """

    name: str
    subjects: tuple[str, ...]
    max_age: timedelta
    discard: Literal["old", "new"] = "old"
    duplicate_window: timedelta = timedelta(minutes=2)
    max_messages: int = -1
    max_bytes: int = -1
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """A durable pull consumer as it must be, with explicit acknowledgement and deliveries without limit.

    `deliver` says where it begins when it is created for the first time: with what comes from then on, or
    with all that the stream holds. `ack_wait` is in seconds: what is not acknowledged for so long is
    delivered again. While an inbox lives, it tells the broker of what it has that it is in progress, up to `keep`
    seconds for each message (0: it does not). `ahead` is how many messages one inbox takes in advance, None: as many
    as of others. `together` names a header: of several inboxes one gets all messages with the same value, as far as
    that can be.
    """

    stream: str
    durable: str
    filter_subjects: tuple[str, ...]
    deliver: Literal["new", "all"] = "all"
    ack_wait: float = 30.0
    keep: float = 0.0
    max_ack_pending: int = 20_000
    ahead: int | None = None
    together: str = ""

    @property
    def place(self) -> str:
        """The stream and the consumer, as one name."""
        return f"{self.stream}/{self.durable}"


def streams(namespace: str, max_age: timedelta) -> list[StreamSpec]:
    """The four streams of a namespace."""
    return [
        StreamSpec(wire.stream(namespace, "commands"), (f"{namespace}.cmd.>",), max_age, discard="new"),
        StreamSpec(wire.stream(namespace, "events"), (f"{namespace}.evt.>",), max_age),
        StreamSpec(wire.stream(namespace, "sagas"), (f"{namespace}.saga.>",), max_age),
        StreamSpec(wire.stream(namespace, "dead"), (f"{namespace}.dead.>",), max_age),
    ]


@dataclass(frozen=True, slots=True)
class Mark:
    """The last that is known of a stream: when it was created, and the sequence and id of its last message.

    Of a consumer (then `stream` is `<stream>/<consumer>`): when its stream was created, and up to which
    sequence all is acknowledged.
    """

    stream: str
    created: str
    sequence: int
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Intact:
    """The stream holds what it held; `mark` is its present end, None where there is no such stream yet."""

    mark: Mark | None


@dataclass(frozen=True, slots=True)
class Lost:
    """The broker lost stored messages; `mark` is the stream's present end, None where it is missing."""

    reason: str
    mark: Mark | None


class MarkStore(Protocol):
    """Where marks are kept; shared by all processes that publish from one database."""

    async def load(self) -> dict[str, Mark]:
        """All marks, by `Mark.stream`."""
        ...

    async def store(self, marks: Mapping[str, Mark]) -> None:
        """Keep these marks in place of those of the same name; others stay."""
        ...


class BrokerUnreachable(AmendsError):
    """The first connection to NATS, or to its JetStream, could not be made in time."""


class BrokerClosed(AmendsError):
    """The broker, the inbox or the publisher has been closed, and is still asked for something."""


class ConfiguredOtherwise(AmendsError):
    """A stream or consumer exists and is not as it must be; nothing was changed.

    `differences` maps each field to what was expected and what was found.
    """

    def __init__(self, what: str, differences: Mapping[str, tuple[object, object]], mend: str) -> None:
        listed = "; ".join(
            f"{name}: expected {expected!r}, found {found!r}"
            for name, (expected, found) in differences.items()
        )
        super().__init__(f"{what} is configured otherwise. {listed}. {mend}")
        self.differences = dict(differences)


class StreamMissing(AmendsError):
    """A consumer could not be made, because its stream is not there; one that is watched is made again."""

    def __init__(self, stream: str, durable: str) -> None:
        super().__init__(f"expected stream {stream} to be there for consumer {durable}; it is missing")


@dataclass(frozen=True, slots=True)
class NotStored:
    """A message that the broker did not store, and its reason."""

    message: Outgoing
    reason: str


class PublishFailed(AmendsError):
    """The broker refused messages; `failures` has them with its reasons. The others are stored."""

    def __init__(self, failures: Sequence[NotStored]) -> None:
        first = failures[0]
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        super().__init__(
            f"message {first.message.message_id} on {first.message.subject}: {first.reason}{more}"
        )
        self.failures = tuple(failures)

    @property
    def messages(self) -> tuple[Outgoing, ...]:
        """The messages that are not stored."""
        return tuple(each.message for each in self.failures)


class MessageTooLarge(PublishFailed):
    """Messages are larger than the server accepts. Nothing of the call was sent after this was noticed."""


class Unsendable(PublishFailed):
    """Subjects or headers would not arrive as they are: blanks, line breaks. Nothing of the call was sent."""
