"""The services of a ride. They keep no tables of their own: the SDK remembers what was done for whom."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from amends import Done, Participant, Rejected, Tx
from amends.examples.trip.messages import (
    DispatchDriver,
    DriverMatched,
    FundsHeld,
    HoldFunds,
    MatchDriver,
    ReleaseFunds,
    RideDispatched,
    UnmatchDriver,
)

drivers: Participant[None] = Participant("drivers")
funds: Participant[None] = Participant("funds")
dispatch: Participant[None] = Participant("dispatch")

BASE: Final = Decimal("2.50")
PER_KILOMETRE: Final = Decimal("1.20")
LIMIT: Final = Decimal(200)
"""What a rider may owe."""

NOBODY_THERE: Final = "desert"
CLOSED: Final = "flooded road"
"""Where a driver can be found, but not sent."""


@drivers.handles(MatchDriver)
async def match(command: MatchDriver, tx: Tx) -> DriverMatched:
    """Find somebody near by who is free."""
    if command.pickup == NOBODY_THERE:
        raise Rejected("no_driver", "nobody is near by")
    return DriverMatched(driver=f"driver-{command.ride_id}")


@drivers.handles(UnmatchDriver, undoes=MatchDriver)
async def unmatch(command: UnmatchDriver, tx: Tx) -> Done:
    """The driver is free again."""
    return Done()


@funds.handles(HoldFunds)
async def hold(command: HoldFunds, tx: Tx) -> FundsHeld:
    """Price the ride, and hold the fare."""
    fare = (BASE + PER_KILOMETRE * command.kilometres).quantize(Decimal("0.01"))
    if fare > LIMIT:
        raise Rejected("declined", f"{fare} is more than {command.rider} may owe")
    return FundsHeld(fare=fare)


@funds.handles(ReleaseFunds, undoes=HoldFunds)
async def release(command: ReleaseFunds, tx: Tx) -> Done:
    """Let the fare go."""
    return Done()


@dispatch.handles(DispatchDriver)
async def send(command: DispatchDriver, tx: Tx) -> RideDispatched:
    """Send the driver to the rider."""
    if command.pickup == CLOSED:
        raise Rejected("unreachable", "the road to the rider is closed")
    return RideDispatched(minutes=4)
