"""A ride is hailed: a driver is found, the fare is held, and the driver is sent."""

from amends.examples.trip.saga import Trip
from amends.examples.trip.services import dispatch, drivers, funds

__all__ = ["Trip", "dispatch", "drivers", "funds"]
