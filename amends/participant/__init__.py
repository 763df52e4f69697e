"""The SDK for services that answer commands, and keep the promises about them in their own database."""

from amends.participant.errors import Failed, Rejected
from amends.participant.handlers import Tx
from amends.participant.participant import Participant

__all__ = ["Failed", "Participant", "Rejected", "Tx"]
