"""What a booking, its services and its host say to each other. Money is Decimal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from amends import Command, Event


class StayRequested(Event, subject="stays.requested"):
    booking_id: str
    home: str
    guest: str
    arrives: date
    leaves: date
    price: Decimal


class HoldDates(Command, subject="calendar.hold"):
    booking_id: str
    home: str
    arrives: date
    leaves: date


class ReleaseDates(Command, subject="calendar.release"):
    booking_id: str


class Preauthorised(Event, subject="cards.preauthorised"):
    authorisation: str


class PreauthorisePayment(Command[Preauthorised], subject="cards.preauthorise"):
    booking_id: str
    amount: Decimal


class VoidPreauthorisation(Command, subject="cards.void"):
    booking_id: str


class HostAnswered(Event, subject="hosts.answered"):
    booking_id: str
    accepted: bool
    note: str = ""


class CapturePayment(Command, subject="cards.capture"):
    booking_id: str
    authorisation: str


class SendConfirmation(Command, subject="mail.confirm"):
    booking_id: str
    guest: str
    note: str


class StayFellThrough(Event, subject="stays.fell-through"):
    booking_id: str
    guest: str
