"""The renewal, and the cancellation that it starts without waiting for it."""

from __future__ import annotations

from datetime import timedelta

from amends import Saga, step
from amends.examples.renewal.messages import (
    ChargeCard,
    EndSubscription,
    KeepOldPlan,
    ProvisionPlan,
    RefundCard,
    RenewalDue,
    ReviewWanted,
    SayGoodbye,
    SendReceipt,
    SubscriptionUnpaid,
    UpdateSubscription,
)


class Renewal(Saga[RenewalDue], name="renewal", version=1, key=("subscription_id", "period")):
    """Charge the card, update the subscription, provision a plan that changed, send the receipt."""

    @step(ask_again=[timedelta(days=1), timedelta(days=3), timedelta(days=7)])
    def charge(self) -> ChargeCard:
        due = self.start
        return ChargeCard(subscription_id=due.subscription_id, period=due.period, amount=due.price)

    @charge.compensate
    def refund(self) -> RefundCard:
        return RefundCard(subscription_id=self.start.subscription_id, period=self.start.period)

    @charge.when_rejected
    def cancel_subscription(self) -> SubscriptionUnpaid:
        return SubscriptionUnpaid(subscription_id=self.start.subscription_id, period=self.start.period)

    @step
    def update(self) -> UpdateSubscription:
        return UpdateSubscription(subscription_id=self.start.subscription_id, plan=self.start.plan)

    @update.compensate
    def keep_old_plan(self) -> KeepOldPlan:
        return KeepOldPlan(subscription_id=self.start.subscription_id, plan=self.start.old_plan)

    @step(pivot=True)
    def provision(self) -> ProvisionPlan | None:
        if self.start.plan == self.start.old_plan:
            return None
        return ProvisionPlan(subscription_id=self.start.subscription_id, plan=self.start.plan)

    @provision.when_rejected
    def want_review(self) -> ReviewWanted:
        why = f"{self.start.plan} could not be provisioned; {self.start.old_plan} was kept"
        return ReviewWanted(subscription_id=self.start.subscription_id, why=why)

    # An operator may have skipped the charge; then there is nothing to send.
    @step
    def send_receipt(self) -> SendReceipt | None:
        charged = self.reply(Renewal.charge, default=None)
        if charged is None:
            return None
        return SendReceipt(subscription_id=self.start.subscription_id, receipt=charged.receipt)


class Cancellation(
    Saga[SubscriptionUnpaid], name="cancellation", version=1, key=("subscription_id", "period")
):
    """End a subscription that is not paid for, and say goodbye."""

    @step(pivot=True)
    def end(self) -> EndSubscription:
        return EndSubscription(subscription_id=self.start.subscription_id)

    @step
    def say_goodbye(self) -> SayGoodbye:
        return SayGoodbye(subscription_id=self.start.subscription_id)
