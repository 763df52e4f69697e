"""A home is booked: the host has a day to answer."""

from amends.examples.booking.saga import Booking
from amends.examples.booking.services import calendar, cards, mail

__all__ = ["Booking", "calendar", "cards", "mail"]
