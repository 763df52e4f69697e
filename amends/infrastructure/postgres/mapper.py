"""Between the domain's recorded events and the event-sourcing library's stored ones."""

from __future__ import annotations

from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from amends.domain.history import Recorded, read


class SagaMapper(Mapper[UUID]):
    """Stores the very bytes that were recorded, under their stable name instead of a Python path."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())  # asked for by the base, and never used

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        assert isinstance(domain_event, Recorded)
        return StoredEvent(
            domain_event.originator_id,
            domain_event.originator_version,
            domain_event.topic,
            domain_event.stored,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:
        """Raises UnreadableEvent."""
        assert isinstance(stored_event.originator_id, UUID)
        return read(
            stored_event.originator_id,
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )
