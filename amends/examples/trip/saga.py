"""The ride, from the tap on the screen to the driver on the way."""

from __future__ import annotations

from datetime import timedelta

from amends import Retry, Saga, step
from amends.examples.trip.messages import (
    DispatchDriver,
    HoldFunds,
    MatchDriver,
    ReleaseFunds,
    RideRequested,
    UnmatchDriver,
)

QUICK = Retry(attempts=3, delay=timedelta(seconds=1), cap=timedelta(seconds=5))
"""A rider waits on the street."""


class Trip(Saga[RideRequested], name="trip", version=1, key="ride_id", deadline=timedelta(minutes=10)):
    """Match rider and driver, price the ride and hold the fare, dispatch."""

    @step(timeout=timedelta(seconds=20), retry=QUICK)
    def match_driver(self) -> MatchDriver:
        return MatchDriver(ride_id=self.key, rider=self.start.rider, pickup=self.start.pickup)

    @match_driver.compensate
    def unmatch_driver(self) -> UnmatchDriver:
        return UnmatchDriver(ride_id=self.key)

    @step(timeout=timedelta(seconds=20), retry=QUICK)
    def hold_funds(self) -> HoldFunds:
        return HoldFunds(ride_id=self.key, rider=self.start.rider, kilometres=self.start.kilometres)

    @hold_funds.compensate
    def release_funds(self) -> ReleaseFunds:
        return ReleaseFunds(ride_id=self.key)

    # Where an operator skipped the match, nobody is there to be sent.
    @step(pivot=True, timeout=timedelta(seconds=20), retry=QUICK)
    def dispatch(self) -> DispatchDriver | None:
        matched = self.reply(Trip.match_driver, default=None)
        if matched is None:
            return None
        return DispatchDriver(ride_id=self.key, driver=matched.driver, pickup=self.start.pickup)
