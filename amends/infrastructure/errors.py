"""What can go wrong between Amends and the outside world."""

from __future__ import annotations

from amends.domain.errors import AmendsError


class SettingsError(AmendsError):
    """A setting is wrong or unknown; the text lists every one with what was expected and what came."""


class EmbeddedUnavailable(AmendsError):
    """The embedded servers cannot run on this machine, or not in this data folder; nothing was started."""


class EmbeddedFailed(AmendsError):
    """An embedded server does not start, or dies again and again; its log is quoted."""


class DatabaseNotCreated(AmendsError):
    """A database is missing on the server and could not be created there."""


class DatabaseUnreachable(AmendsError):
    """The first connection to PostgreSQL could not be made."""


class MetricsUnavailable(AmendsError):
    """Metrics cannot be served at the address that was set."""
