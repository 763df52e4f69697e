"""What a renewal and its services say to each other. Money is Decimal."""

from __future__ import annotations

from decimal import Decimal

from amends import Command, Event


class RenewalDue(Event, subject="subscriptions.due"):
    """A period of a subscription ends. `old_plan` and `plan` differ where the customer has chosen another."""

    subscription_id: str
    period: str
    price: Decimal
    old_plan: str
    plan: str


class CardCharged(Event, subject="billing.charged"):
    receipt: str


class ChargeCard(Command[CardCharged], subject="billing.charge"):
    subscription_id: str
    period: str
    amount: Decimal


class RefundCard(Command, subject="billing.refund"):
    subscription_id: str
    period: str


class UpdateSubscription(Command, subject="plans.update"):
    subscription_id: str
    plan: str


class KeepOldPlan(Command, subject="plans.keep"):
    subscription_id: str
    plan: str


class ProvisionPlan(Command, subject="plans.provision"):
    subscription_id: str
    plan: str


class SendReceipt(Command, subject="post.receipt"):
    subscription_id: str
    receipt: str


class SubscriptionUnpaid(Event, subject="subscriptions.unpaid"):
    """Starts the cancellation of the subscription."""

    subscription_id: str
    period: str


class ReviewWanted(Event, subject="subscriptions.review-wanted"):
    """A person should look at this subscription."""

    subscription_id: str
    why: str


class EndSubscription(Command, subject="plans.end"):
    subscription_id: str


class SayGoodbye(Command, subject="post.goodbye"):
    subscription_id: str
