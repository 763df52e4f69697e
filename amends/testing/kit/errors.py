"""What can be wrong with a scenario, apart from what it expects."""

from __future__ import annotations

from amends.domain.errors import AmendsError


class BadScript(AmendsError):
    """A scenario says what cannot be: a reply of the wrong type, a saga that is not started, an unknown point."""


class NotQuiet(AmendsError):
    """The worker did not come to rest."""
