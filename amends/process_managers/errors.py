"""Why a message cannot be handled; the texts become the reasons of dead letters."""

from __future__ import annotations

from amends.domain.errors import AmendsError


class Unroutable(AmendsError):
    """A message does not say, in a way that can be read, which saga it is for and what it tells."""


class DuplicateDefinition(AmendsError):
    """Two definitions of one name and version, or two names that cannot be told apart, were given."""
