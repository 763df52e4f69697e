"""A saga that tells others, or starts another saga, without waiting."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends import Event, Saga, announce, step, wait_for
from amends.domain import events as e
from amends.domain.announcing import BadEvent
from amends.domain.errors import DefinitionError
from tests.domain.driver import RETRY, SECOND, Charge, Charged, Notify, Placed, Play, Refund, Reserve, Ship

DAY = timedelta(days=1)


class Cancelled(Event, subject="subscriptions.cancelled"):
    order_id: str
    why: str = ""


class Renewal(Saga[Placed], name="renewal", version=1, key="order_id"):
    @step(timeout=SECOND * 10, retry=RETRY, ask_again=[DAY])
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total)

    @charge.compensate(timeout=SECOND * 10, retry=RETRY)
    def refund(self) -> Refund:
        return Refund(order_id=self.key)

    @charge.when_rejected
    def cancel_subscription(self) -> Cancelled | None:
        return Cancelled(order_id=self.key, why="declined") if self.start.total else None

    @step(timeout=SECOND * 10, retry=RETRY)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)

    @announce
    def tell(self) -> Charged | None:
        return Charged(payment="p1") if self.start.total != 7 else None


def published(play: Play) -> list[tuple[str, e.JsonObject]]:
    return [(each.subject, each.event) for each in play.events if isinstance(each, e.EventPublished)]


def test_a_step_that_publishes_is_done_at_once_and_waits_for_nobody() -> None:
    play = Play(Renewal)
    play.succeed("charge", "ship")
    assert play.told()[-3:] == ["event.published", "step.announced tell", "saga.completed"]
    assert published(play) == [("payments.charged", {"payment": "p1"})]


def test_a_step_that_has_nothing_to_publish_is_skipped() -> None:
    play = Play(Renewal, total=7)
    play.succeed("charge", "ship")
    assert published(play) == []
    assert play.told()[-2:] == ["step.skipped tell", "saga.completed"]


def test_a_rejection_that_counts_starts_another_saga_without_waiting_for_it() -> None:
    play = Play(Renewal)
    play.reject("charge")
    assert published(play) == []
    play.tick()
    play.reject("charge")
    assert published(play) == [("subscriptions.cancelled", {"order_id": "o1", "why": "declined"})]
    assert play.status == "compensated"


def test_a_rejection_may_have_nothing_to_tell() -> None:
    play = Play(Renewal, total=0)
    play.reject("charge")
    play.tick()
    play.reject("charge")
    assert published(play) == []
    assert play.status == "compensated"


def test_a_step_that_is_given_up_without_a_rejection_tells_nothing() -> None:
    play = Play(Renewal)
    play.time_out("charge")
    assert published(play) == []
    play = Play(Renewal)
    play.cancel()
    assert published(play) == []
    play = Play(Renewal)
    play.succeed("charge")
    play.reject("ship")
    assert published(play) == []


def test_a_pivot_that_was_only_closed_tells_nothing() -> None:
    class Pivotal(Saga[Placed], name="pivotal", version=1, key="order_id"):
        @step(pivot=True, timeout=SECOND * 10, retry=RETRY)
        def ship(self) -> Ship:
            return Ship(order_id=self.key)

        @ship.when_rejected
        def give_back(self) -> Cancelled:
            return Cancelled(order_id=self.key)

    play = Play(Pivotal)
    play.cancel()
    play.reject("close ship")
    assert published(play) == []
    play = Play(Pivotal)
    play.reject("ship")
    assert len(published(play)) == 1


def test_a_wait_that_hears_a_no_or_nothing_tells_it() -> None:
    class Waiting(Saga[Placed], name="waiting", version=1, key="order_id"):
        answer = wait_for(Charged, timeout=DAY, rejected_if=lambda charged: charged.payment == "")

        @answer.when_rejected
        def give_back(self) -> Cancelled:
            return Cancelled(order_id=self.key)

    silent, refused = Play(Waiting), Play(Waiting)
    silent.tick()
    refused.arrive(Charged(payment=""))
    assert [len(published(play)) for play in (silent, refused)] == [1, 1]


def test_each_event_has_an_id_of_its_own_that_is_the_same_whoever_decides() -> None:
    ids = []
    for _ in range(2):
        play = Play(Renewal)
        play.succeed("charge", "ship")
        ids += [each.message_id for each in play.events if isinstance(each, e.EventPublished)]
    assert ids[0] == ids[1]


def test_what_was_published_is_not_compensated() -> None:
    class Early(Saga[Placed], name="early", version=1, key="order_id"):
        @announce
        def tell(self) -> Cancelled:
            return Cancelled(order_id=self.key)

        @step(timeout=SECOND * 10, retry=RETRY)
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

    play = Play(Early)
    play.reject("reserve")
    assert play.status == "compensated"
    assert play.count(e.CompensationPassedOver) == 0


def test_an_event_may_be_the_point_of_no_return() -> None:
    class Final(Saga[Placed], name="final", version=1, key="order_id"):
        @announce(pivot=True)
        def tell(self) -> Cancelled:
            return Cancelled(order_id=self.key)

        @step(timeout=SECOND * 10, retry=RETRY)
        def notify(self) -> Notify:
            return Notify(order_id=self.key)

    play = Play(Final)
    play.reject("notify")
    assert play.status == "running"


# What is refused


def test_an_event_has_no_compensation() -> None:
    def tell(self: object) -> Cancelled:
        return Cancelled(order_id="o1")

    with pytest.raises(DefinitionError, match="cannot be taken back"):
        announce(tell).compensate(lambda _: None)


def test_nobody_can_say_no_to_an_event() -> None:
    def tell(self: object) -> Cancelled:
        return Cancelled(order_id="o1")

    with pytest.raises(DefinitionError, match="nobody can say no"):
        announce(tell).when_rejected(lambda _: None)


def test_a_function_that_returns_another_event_than_it_says_is_refused() -> None:
    class Liar(Saga[Placed], name="liar", version=1, key="order_id"):
        @announce
        def tell(self) -> Cancelled:
            return Charged(payment="p1")  # type: ignore[return-value]

    with pytest.raises(BadEvent, match="Cancelled"):
        Play(Liar)


def test_a_step_that_publishes_must_say_which_event() -> None:
    with pytest.raises(DefinitionError, match="an Event with a subject"):

        class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
            @announce  # type: ignore[arg-type]
            def tell(self) -> Notify:
                return Notify(order_id=self.key)


def test_after_the_pivot_a_rejection_never_counts_so_it_tells_nothing() -> None:
    with pytest.raises(DefinitionError, match="take its when_rejected away"):

        class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
            @step(pivot=True)
            def ship(self) -> Ship:
                return Ship(order_id=self.key)

            @step
            def notify(self) -> Notify:
                return Notify(order_id=self.key)

            @notify.when_rejected
            def give_back(self) -> Cancelled:
                return Cancelled(order_id=self.key)


def test_a_second_thing_to_tell_of_one_rejection() -> None:
    with pytest.raises(DefinitionError, match="expected one when_rejected"):

        class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
            @step
            def ship(self) -> Ship:
                return Ship(order_id=self.key)

            @ship.when_rejected
            def one(self) -> Cancelled:
                return Cancelled(order_id=self.key)

            @ship.when_rejected
            def other(self) -> Cancelled:
                return Cancelled(order_id=self.key)


def test_the_shape_tells_what_is_published() -> None:
    charge, _, tell = Renewal.definition.shape()["steps"]
    assert charge["when_rejected"] == {"type": "Cancelled", "subject": "subscriptions.cancelled"}
    assert (tell["kind"], tell["forward"]) == ("publish", None)
    assert tell["event"] == {"type": "Charged", "subject": "payments.charged"}
