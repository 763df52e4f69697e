"""The renewal example: a card that is declined is charged again after 1, 3 and 7 days."""

from __future__ import annotations

from decimal import Decimal

from amends.domain import events as e
from amends.examples.renewal import Cancellation, Renewal
from amends.examples.renewal.messages import (
    CardCharged,
    ChargeCard,
    EndSubscription,
    KeepOldPlan,
    ProvisionPlan,
    RefundCard,
    RenewalDue,
    SayGoodbye,
    SendReceipt,
    SubscriptionUnpaid,
    UpdateSubscription,
)
from amends.testing import SagaTest
from amends.testing.kit.scenario import Scenario

DUE = RenewalDue(subscription_id="s1", period="2026-07", price=Decimal(9), old_plan="basic", plan="basic")
BIGGER = DUE.model_copy(update={"plan": "bigger"})
CHARGED = CardCharged(receipt="r1")


def told(renewal: Scenario) -> list[e.EventPublished]:
    """What the saga told others."""
    events = [recorded.event for recorded in renewal.history]
    return [event for event in events if isinstance(event, e.EventPublished)]


def test_a_plan_that_did_not_change_is_not_provisioned(play: SagaTest) -> None:
    renewal = play(Renewal).start(DUE).expect(ChargeCard).reply(CHARGED).expect(UpdateSubscription).reply()
    renewal.expect(SendReceipt, receipt="r1").reply().settles("completed")
    assert renewal.state.step("provision").skipped


def test_a_plan_that_changed_is_provisioned(play: SagaTest) -> None:
    renewal = play(Renewal).start(BIGGER).expect(ChargeCard).reply(CHARGED).expect(UpdateSubscription).reply()
    renewal.expect(ProvisionPlan, plan="bigger").reply().expect(SendReceipt).reply().settles("completed")


def test_a_declined_card_is_charged_again_after_1_3_and_7_days_each_with_a_new_key(play: SagaTest) -> None:
    renewal = play(Renewal).start(DUE)
    keys = set()
    for days in (1, 3, 7):
        charge = renewal.expect(ChargeCard)
        keys.add(charge.key)
        charge.reject("declined").advance(days=days)
    charge = renewal.expect(ChargeCard)
    assert len(keys | {charge.key}) == 4
    charge.reply(CHARGED).expect(UpdateSubscription).reply().expect(SendReceipt).reply()
    renewal.settles("completed")


def test_a_card_that_stays_declined_starts_the_cancellation_of_the_subscription(play: SagaTest) -> None:
    renewal = play(Renewal).start(DUE)
    for days in (1, 3, 7):
        renewal.expect(ChargeCard).reject("declined").advance(days=days)
    renewal.expect(ChargeCard).reject("declined").settles("compensated")
    (unpaid,) = told(renewal)
    assert unpaid.subject == Cancellation.definition.start.subject
    assert unpaid.event == {"subscription_id": "s1", "period": "2026-07"}


def test_the_cancellation_ends_the_subscription_and_says_goodbye(play: SagaTest) -> None:
    unpaid = SubscriptionUnpaid(subscription_id="s1", period="2026-07")
    ended = play(Cancellation).start(unpaid).expect(EndSubscription).reply()
    ended.expect(SayGoodbye).reply().settles("completed")


def test_provisioning_that_fails_is_refunded_keeps_the_old_plan_and_wants_a_review(play: SagaTest) -> None:
    renewal = play(Renewal).start(BIGGER).expect(ChargeCard).reply(CHARGED).expect(UpdateSubscription).reply()
    renewal.expect(ProvisionPlan).reject("no room")
    renewal.expect(KeepOldPlan, plan="basic").reply().expect(RefundCard).reply().settles("compensated")
    assert [event.subject for event in told(renewal)] == ["subscriptions.review-wanted"]


def test_one_renewal_for_each_subscription_and_period(play: SagaTest) -> None:
    renewal = play(Renewal).start(DUE)
    assert renewal.state.key == '["s1", "2026-07"]'
