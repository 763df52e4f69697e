"""NATS JetStream: inbox, publisher, streams and consumers, and noticing what the broker lost."""

from amends.infrastructure.broker import (
    BrokerClosed,
    BrokerUnreachable,
    ConfiguredOtherwise,
    ConsumerSpec,
    Intact,
    Lost,
    Mark,
    MarkStore,
    MessageTooLarge,
    NotStored,
    PublishFailed,
    StreamSpec,
    Unsendable,
    streams,
)
from amends.infrastructure.nats.connection import Broker
from amends.infrastructure.nats.inbox import JetStreamInbox
from amends.infrastructure.nats.publisher import JetStreamPublisher
from amends.infrastructure.nats.watch import BrokerWatch

__all__ = [
    "Broker",
    "BrokerClosed",
    "BrokerUnreachable",
    "BrokerWatch",
    "ConfiguredOtherwise",
    "ConsumerSpec",
    "Intact",
    "JetStreamInbox",
    "JetStreamPublisher",
    "Lost",
    "Mark",
    "MarkStore",
    "MessageTooLarge",
    "NotStored",
    "PublishFailed",
    "StreamSpec",
    "Unsendable",
    "streams",
]
