"""The trip without a coordinator: airline, inn and car rental react to each other's events, and are observed."""

from amends.examples.travel_choreographed.chain import TravelChoreographed
from amends.examples.travel_choreographed.services import airline, bookings, inn, rental

__all__ = ["TravelChoreographed", "airline", "bookings", "inn", "rental"]
