"""Which messages a participant asks the broker for."""

from __future__ import annotations

from amends.domain import wire
from amends.domain.choreography.republishing import republish_subject
from amends.infrastructure.broker import ConsumerSpec
from amends.participant.handlers import Handlers
from amends.participant.reactions import Reactions

REACTIONS = "reactions-"
"""What the names of consumers of events begin with; the participant's own name follows."""

ACK_WAIT = 30.0
"""Seconds that the broker waits for an acknowledgement, unless told otherwise."""


def consumers_of(
    name: str, namespace: str, handlers: Handlers, reactions: Reactions, ack_wait: float = ACK_WAIT
) -> list[ConsumerSpec]:
    """The participant's durable consumers: one for commands, one for the events that it reacts to.

    The latter begins with what comes after it was made: a new service does not react to what was over before.
    """
    found: list[ConsumerSpec] = []
    if subjects := handlers.subjects():
        commands = tuple(wire.command_subject(namespace, each) for each in subjects)
        stream = wire.stream(namespace, "commands")
        found.append(ConsumerSpec(stream, f"participant-{name}", commands, ack_wait=ack_wait))
    if subjects := reactions.subjects():
        events = tuple(wire.event_subject(namespace, each) for each in (*subjects, republish_subject(name)))
        stream = wire.stream(namespace, "events")
        found.append(ConsumerSpec(stream, f"{REACTIONS}{name}", events, "new", ack_wait))
    return found
