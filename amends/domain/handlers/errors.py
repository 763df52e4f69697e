"""What a handler may not do. It is a fault of the definition, so the saga is put into quarantine."""

from __future__ import annotations

from amends.domain.errors import AmendsError


class BadAction(AmendsError):
    """A handler yielded what its definition does not declare, or what makes no sense at that point."""
