"""The services of a booking. They keep no tables of their own: the SDK remembers what was done for whom."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from amends import Done, Participant, Rejected, Tx
from amends.examples.booking.messages import (
    CapturePayment,
    HoldDates,
    Preauthorised,
    PreauthorisePayment,
    ReleaseDates,
    SendConfirmation,
    VoidPreauthorisation,
)

calendar: Participant[None] = Participant("calendar")
cards: Participant[None] = Participant("cards")
mail: Participant[None] = Participant("mail")

LIMIT: Final = Decimal(1000)
"""What a card may be charged with."""


@calendar.handles(HoldDates)
async def hold(command: HoldDates, tx: Tx) -> Done:
    """Mark the dates as taken."""
    if command.leaves <= command.arrives:
        raise Rejected("no_nights", "a stay lasts a night at least")
    return Done()


@calendar.handles(ReleaseDates, undoes=HoldDates)
async def release(command: ReleaseDates, tx: Tx) -> Done:
    """Offer the dates again."""
    return Done()


@cards.handles(PreauthorisePayment)
async def preauthorise(command: PreauthorisePayment, tx: Tx) -> Preauthorised:
    """Reserve the money on the card."""
    if command.amount > LIMIT:
        raise Rejected("declined", "the card was declined")
    return Preauthorised(authorisation=f"auth-{command.booking_id}")


@cards.handles(VoidPreauthorisation, undoes=PreauthorisePayment)
async def void(command: VoidPreauthorisation, tx: Tx) -> Done:
    """Give the money free again."""
    return Done()


@cards.handles(CapturePayment)
async def capture(command: CapturePayment, tx: Tx) -> Done:
    """Take the money that was reserved."""
    return Done()


@mail.handles(SendConfirmation)
async def confirm(command: SendConfirmation, tx: Tx) -> Done:
    """Write to the guest."""
    return Done()
