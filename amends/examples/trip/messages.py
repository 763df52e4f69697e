"""What a ride and its services say to each other. Money is Decimal."""

from __future__ import annotations

from decimal import Decimal

from amends import Command, Event


class RideRequested(Event, subject="rides.requested"):
    ride_id: str
    rider: str
    pickup: str
    kilometres: Decimal


class DriverMatched(Event, subject="drivers.matched"):
    driver: str


class MatchDriver(Command[DriverMatched], subject="drivers.match"):
    ride_id: str
    rider: str
    pickup: str


class UnmatchDriver(Command, subject="drivers.unmatch"):
    ride_id: str


class FundsHeld(Event, subject="funds.held"):
    fare: Decimal


class HoldFunds(Command[FundsHeld], subject="funds.hold"):
    ride_id: str
    rider: str
    kilometres: Decimal


class ReleaseFunds(Command, subject="funds.release"):
    ride_id: str


class RideDispatched(Event, subject="rides.dispatched"):
    minutes: int


class DispatchDriver(Command[RideDispatched], subject="dispatch.send"):
    ride_id: str
    driver: str
    pickup: str
