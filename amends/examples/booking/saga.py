"""The booking saga: a person is one of its steps."""

from __future__ import annotations

from datetime import timedelta

from amends import Saga, step, wait_for
from amends.examples.booking.messages import (
    CapturePayment,
    HoldDates,
    HostAnswered,
    PreauthorisePayment,
    ReleaseDates,
    SendConfirmation,
    StayFellThrough,
    StayRequested,
    VoidPreauthorisation,
)


class Booking(Saga[StayRequested], name="booking", version=1, key="booking_id"):
    """Hold the dates, pre-authorise the payment, let the host confirm; capture the payment, tell the guest."""

    @step
    def hold_dates(self) -> HoldDates:
        stay = self.start
        return HoldDates(booking_id=self.key, home=stay.home, arrives=stay.arrives, leaves=stay.leaves)

    @hold_dates.compensate
    def release_dates(self) -> ReleaseDates:
        return ReleaseDates(booking_id=self.key)

    @step
    def preauthorise(self) -> PreauthorisePayment:
        return PreauthorisePayment(booking_id=self.key, amount=self.start.price)

    @preauthorise.compensate
    def void_preauthorisation(self) -> VoidPreauthorisation:
        return VoidPreauthorisation(booking_id=self.key)

    # An answer that comes before the payment is pre-authorised is kept. No answer in a day is a no.
    host_confirms = wait_for(
        HostAnswered,
        timeout=timedelta(hours=24),
        key="booking_id",
        rejected_if=lambda answer: not answer.accepted,
    )

    @host_confirms.when_rejected
    def tell_guest(self) -> StayFellThrough:
        return StayFellThrough(booking_id=self.key, guest=self.start.guest)

    # An operator may have skipped what a step looks back at: then there is no reply of it.
    @step(pivot=True)
    def capture(self) -> CapturePayment | None:
        held = self.reply(Booking.preauthorise, default=None)
        if held is None:
            return None
        return CapturePayment(booking_id=self.key, authorisation=held.authorisation)

    @step
    def send_confirmation(self) -> SendConfirmation:
        answer = self.reply(Booking.host_confirms, default=None)
        note = answer.note if answer else ""
        return SendConfirmation(booking_id=self.key, guest=self.start.guest, note=note)
