"""The services of a renewal. They keep no tables of their own: the SDK remembers what was done for whom."""

from __future__ import annotations

from amends import Done, Participant, Rejected, Tx
from amends.examples.renewal.messages import (
    CardCharged,
    ChargeCard,
    EndSubscription,
    KeepOldPlan,
    ProvisionPlan,
    RefundCard,
    SayGoodbye,
    SendReceipt,
    UpdateSubscription,
)

billing: Participant[None] = Participant("billing")
plans: Participant[None] = Participant("plans")
post: Participant[None] = Participant("post")


@billing.handles(ChargeCard)
async def charge(command: ChargeCard, tx: Tx) -> CardCharged:
    """Take the money, unless the customer is poor."""
    if command.subscription_id.startswith("poor"):
        raise Rejected("declined", "the card was declined")
    return CardCharged(receipt=f"{command.subscription_id}/{command.period}")


@billing.handles(RefundCard, undoes=ChargeCard)
async def refund(command: RefundCard, tx: Tx) -> Done:
    """Give the money back."""
    return Done()


@plans.handles(UpdateSubscription)
async def update(command: UpdateSubscription, tx: Tx) -> Done:
    """Write down the new plan."""
    return Done()


@plans.handles(KeepOldPlan, undoes=UpdateSubscription)
async def keep(command: KeepOldPlan, tx: Tx) -> Done:
    """Write down the old plan again."""
    return Done()


@plans.handles(ProvisionPlan)
async def provision(command: ProvisionPlan, tx: Tx) -> Done:
    """Set up what the plan promises."""
    if command.plan == "impossible":
        raise Rejected("no_capacity", "there is no room for this plan")
    return Done()


@plans.handles(EndSubscription)
async def end(command: EndSubscription, tx: Tx) -> Done:
    """Stop the service."""
    return Done()


@post.handles(SendReceipt)
async def send_receipt(command: SendReceipt, tx: Tx) -> Done:
    """Send the receipt."""
    return Done()


@post.handles(SayGoodbye)
async def say_goodbye(command: SayGoodbye, tx: Tx) -> Done:
    """Tell the customer that it is over."""
    return Done()
