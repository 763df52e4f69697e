"""Every row of the table of outcomes in "Steps", and what stands below it."""

from __future__ import annotations

import pytest

from amends.domain import events as e
from amends.domain.definition import BadCommand, InvalidMessage
from amends.domain.saga import Saga, step
from tests.domain.driver import RETRY, SECOND, Charge, Notify, Order, Placed, Play, Refund, Reserve, Ship


@pytest.mark.semantics("order")
def test_steps_run_in_the_order_of_their_declaration() -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship", "notify")
    assert play.sent == ["reserve", "charge", "ship", "notify"]
    assert play.status == "completed"


@pytest.mark.semantics("succeeded-before-the-pivot")
def test_succeeded_before_the_pivot_goes_to_the_next_step() -> None:
    play = Play()
    play.succeed("reserve")
    assert play.sent == ["reserve", "charge"]


@pytest.mark.semantics("rejected-before-the-pivot")
def test_rejected_before_the_pivot_compensates_the_steps_done_and_not_this_one() -> None:
    play = Play()
    play.succeed("reserve")
    play.reject("charge", reason="declined")
    assert play.sent == ["reserve", "charge", "undo reserve"]
    play.succeed("undo reserve")
    assert play.status == "compensated"
    assert play.state.reason == "charge: rejected: declined"


@pytest.mark.parametrize("how", ["failed", "timed out"])
@pytest.mark.semantics("unanswered-before-the-pivot", "command-id")
def test_no_definite_answer_before_the_pivot_is_retried_with_the_same_key(how: str) -> None:
    play = Play()
    play.succeed("reserve")
    play.fail("charge") if how == "failed" else play.tick()
    assert play.status == "running"
    play.tick()
    first, second = play.commands[-2:]
    assert (first.step, first.attempt, second.step, second.attempt) == ("charge", 1, "charge", 2)
    assert first.key == second.key
    assert first.command_id != second.command_id


@pytest.mark.parametrize("how", ["failed", "timed out"])
@pytest.mark.semantics("unanswered-before-the-pivot", "may-have-happened")
def test_retries_used_up_before_the_pivot_compensates_the_steps_done_and_this_one(how: str) -> None:
    play = Play()
    play.succeed("reserve")
    for attempt in range(3):
        play.fail("charge") if how == "failed" else play.tick()
        if attempt < 2:
            play.tick()
    assert play.sent == ["reserve", "charge", "charge", "charge", "undo charge"]
    play.succeed("undo charge")
    assert play.sent[-1] == "undo reserve"
    play.succeed("undo reserve")
    assert play.status == "compensated"


@pytest.mark.semantics("succeeded-at-the-pivot")
def test_succeeded_pivot_passes_the_point_of_no_return() -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship")
    play.until(lambda: play.state.deadline_passed, at_most=200)
    assert play.status == "running"
    assert "undo charge" not in play.sent
    play.succeed("notify")
    assert play.status == "completed"


@pytest.mark.semantics("rejected-at-the-pivot")
def test_rejected_pivot_compensates_the_steps_done() -> None:
    play = Play()
    play.succeed("reserve", "charge")
    play.reject("ship")
    play.succeed("undo charge", "undo reserve")
    assert play.sent == ["reserve", "charge", "ship", "undo charge", "undo reserve"]
    assert play.status == "compensated"


@pytest.mark.parametrize("how", ["failed", "timed out"])
@pytest.mark.semantics("unanswered-at-the-pivot")
def test_no_definite_answer_at_the_pivot_is_retried_by_its_policy_with_the_same_key(how: str) -> None:
    play = Play()
    play.succeed("reserve", "charge")
    for delay in (SECOND, SECOND * 2):
        play.fail("ship") if how == "failed" else play.tick()
        assert play.status == "running"
        assert play.state.wake_up is not None
        assert delay * 0.8 <= play.state.wake_up - play.now <= delay * 1.2
        play.tick()
    first, *again = play.commands[2:]
    assert [(each.step, each.direction, each.attempt) for each in again] == [
        ("ship", "forward", 2),
        ("ship", "forward", 3),
    ]
    assert {each.key for each in again} == {first.key}
    play.succeed("ship")
    assert play.sent[-1] == "notify"


@pytest.mark.parametrize("how", ["failed", "timed out"])
@pytest.mark.semantics("unanswered-at-the-pivot")
def test_retries_used_up_at_the_pivot_closes_it(how: str) -> None:
    play = Play()
    play.succeed("reserve", "charge")
    for attempt in range(3):
        play.fail("ship") if how == "failed" else play.tick()
        if attempt < 2:
            play.tick()
    assert play.sent == ["reserve", "charge", "ship", "ship", "ship", "close ship"]
    assert play.status == "running"
    assert len({event.key for event in play.commands[2:5]}) == 1


@pytest.mark.semantics("succeeded-after-the-pivot")
def test_succeeded_after_the_pivot_goes_to_the_next_step() -> None:
    class Shipped(Saga[Placed], name="shipped", version=1, key="order_id"):
        @step(pivot=True)
        def ship(self) -> Ship:
            return Ship(order_id=self.key)

        @step
        def notify(self) -> Notify:
            return Notify(order_id=self.key)

        @step
        def charge(self) -> Charge:
            return Charge(order_id=self.key, amount=1)

    play = Play(Shipped)
    play.succeed("ship")
    play.succeed("notify")
    assert (play.sent, play.status) == (["ship", "notify", "charge"], "running")
    play.succeed("charge")
    assert play.status == "completed"


@pytest.mark.semantics("rejected-after-the-pivot")
def test_rejected_after_the_pivot_opens_a_new_round_later_and_parks() -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship")
    for _ in range(3):
        assert not play.state.step("notify").forward.parked
        play.reject("notify")
        assert play.status == "running"
        again = play.state.step("notify").forward.retry
        assert again is not None
        assert again > play.now
        play.tick()
    rounds = [event for event in play.commands if event.step == "notify"]
    assert [(event.round, event.attempt) for event in rounds] == [(1, 1), (2, 1), (3, 1), (4, 1)]
    assert len({event.key for event in rounds}) == 4
    assert play.state.step("notify").forward.parked
    play.succeed("notify")
    assert play.status == "completed"
    assert not play.state.step("notify").forward.parked


@pytest.mark.parametrize("how", ["failed", "timed out"])
@pytest.mark.semantics("unanswered-after-the-pivot")
def test_no_definite_answer_after_the_pivot_is_retried_for_ever_with_the_same_key(how: str) -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship")
    for _ in range(10):
        play.fail("notify") if how == "failed" else play.tick()
        play.tick()
    attempts = [event for event in play.commands if event.step == "notify"]
    assert len(attempts) == 11
    assert len({event.key for event in attempts}) == 1
    assert play.state.step("notify").forward.parked
    assert play.count(e.CommandParked) == 1
    assert attempts[-1].at - attempts[-2].at >= SECOND * 80  # the slow delay, less the jitter
    play.succeed("notify")
    assert play.status == "completed"


@pytest.mark.semantics("late-answers")
def test_any_attempts_definite_answer_in_the_open_round_decides() -> None:
    play = Play()
    play.tick()  # the first attempt times out
    play.tick()  # the second is sent
    play.succeed("reserve", attempt=1)
    assert play.sent == ["reserve", "reserve", "charge"]


def test_an_answer_during_the_retry_delay_decides_and_drops_the_timer() -> None:
    play = Play()
    play.tick()
    play.succeed("reserve", attempt=1)
    assert play.sent == ["reserve", "charge"]
    assert play.state.step("reserve").forward.retry is None
    assert play.state.wake_up == play.state.step("charge").forward.rounds[0].last.expires
    play.succeed("charge", "ship", "notify")
    assert play.sent == ["reserve", "charge", "ship", "notify"]


@pytest.mark.semantics("duplicates")
def test_a_second_agreeing_answer_leaves_no_trace() -> None:
    play = Play()
    play.tick()
    play.tick()
    play.succeed("reserve", attempt=1)
    assert play.succeed("reserve", attempt=2) == []
    assert play.succeed("reserve", attempt=1) == []


def test_a_failure_of_an_attempt_no_longer_awaited_is_recorded_and_changes_nothing() -> None:
    play = Play()
    play.tick()
    play.tick()
    wake_up = play.state.wake_up
    events = play.fail("reserve", attempt=1)
    assert [event.type for event in events] == ["command.failed"]
    assert play.state.wake_up == wake_up
    assert play.sent == ["reserve", "reserve"]


@pytest.mark.semantics("may-have-happened")
def test_a_failure_may_be_followed_by_a_redelivery_that_succeeds() -> None:
    play = Play()
    play.fail("reserve")
    play.succeed("reserve")
    assert play.sent == ["reserve", "charge"]
    assert play.state.contradictions == 0


@pytest.mark.semantics("retries")
def test_a_service_that_asks_for_time_gets_it() -> None:
    play = Play()
    play.fail("reserve", retry_after=500.0)
    assert play.state.wake_up == play.now + SECOND * 500
    play.tick()
    assert play.sent == ["reserve", "reserve"]


@pytest.mark.semantics("promise-memory")
def test_forgotten_parks_and_never_gives_up() -> None:
    play = Play()
    play.succeed("reserve")
    for _ in range(5):
        play.fail("charge", code="forgotten")
        assert play.state.step("charge").forward.parked
        play.tick()
    assert play.status == "running"
    assert play.sent == ["reserve", *["charge"] * 6]


def test_expired_is_a_failure_like_any_other() -> None:
    play = Play()
    play.fail("reserve", code="expired")
    play.tick()
    assert play.sent == ["reserve", "reserve"]


class Maybe(Saga[Placed], name="maybe", version=1, key="order_id"):
    @step
    def charge(self) -> Charge | None:
        return None if self.start.total == 0 else Charge(order_id=self.key, amount=self.start.total)

    @charge.compensate
    def refund(self) -> Refund | None:
        return None if self.start.total == 1 else Refund(order_id=self.key)

    @step(pivot=True)
    def ship(self) -> Ship | None:
        return None if self.start.total == 2 else Ship(order_id=self.key)

    @step(retry=RETRY)
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


@pytest.mark.semantics("skipped")
def test_a_step_that_builds_no_command_is_skipped_and_not_compensated() -> None:
    play = Play(Maybe, total=0)
    assert play.state.step("charge").skipped
    play.reject("ship")
    assert play.sent == ["ship"]
    assert play.status == "compensated"


@pytest.mark.semantics("passed-over")
def test_a_compensation_that_builds_no_command_is_passed_over() -> None:
    play = Play(Maybe, total=1)
    play.succeed("charge")
    play.reject("ship")
    assert play.told()[-2:] == ["step.compensation-passed-over charge", "saga.compensated"]


@pytest.mark.semantics("skipped-pivot")
def test_behind_a_skipped_pivot_the_saga_only_goes_forward() -> None:
    play = Play(Maybe, total=2)
    play.succeed("charge")
    play.reject("notify")
    assert play.status == "running"
    play.tick()
    play.succeed("notify")
    assert play.status == "completed"


class Single(Saga[Placed], name="single", version=1, key="order_id"):
    @step(pivot=True, retry=RETRY)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)


def test_a_saga_whose_only_step_is_the_pivot_completes() -> None:
    play = Play(Single)
    play.succeed("ship")
    assert play.status == "completed"


def test_a_saga_whose_only_step_is_the_pivot_is_compensated_by_nothing() -> None:
    play = Play(Single)
    play.reject("ship")
    assert play.status == "compensated"
    closed = Play(Single)
    closed.time_out("ship")
    closed.reject("close ship")
    assert closed.status == "compensated"


class NoPivot(Saga[Placed], name="no-pivot", version=1, key="order_id"):
    @step
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @step
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=1)

    @charge.compensate
    def refund(self) -> Refund:
        return Refund(order_id=self.key)


def test_without_a_pivot_the_last_step_too_is_compensated_where_nobody_answers() -> None:
    play = Play(NoPivot)
    play.succeed("reserve")
    play.time_out("charge")
    play.succeed("undo charge")
    assert play.status == "compensated"
    assert play.state.step("reserve").passed_over


def test_a_step_function_that_raises_decides_nothing() -> None:
    class Raises(Saga[Placed], name="raises", version=1, key="order_id"):
        @step
        def charge(self) -> Charge:
            raise ZeroDivisionError("of the author's making")

    play = Play(Raises, start=False)
    with pytest.raises(ZeroDivisionError):
        play.give(play.first)
    assert play.history == []


def test_a_step_function_that_returns_another_type_is_refused() -> None:
    class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
        @step
        def charge(self) -> Charge:
            return Ship(order_id=self.key)  # type: ignore[return-value] # the mistake under test

    play = Play(Wrong, start=False)
    with pytest.raises(
        BadCommand, match=r"'charge', forward: expected its function to return Charge or None.*got Ship"
    ):
        play.give(play.first)


def test_a_payload_larger_than_a_message_is_refused() -> None:
    class Large(Saga[Placed], name="large", version=1, key="order_id"):
        @step
        def ship(self) -> Ship:
            return Ship(order_id="x" * 1024 * 1024)

    play = Play(Large, start=False)
    with pytest.raises(BadCommand, match=r"at most 1028096 bytes as JSON, got 1048591; put large data"):
        play.give(play.first)


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"payment": 5}', b"[]", b"\xff"])
def test_a_reply_that_is_not_what_its_type_says_is_refused_and_changes_nothing(body: bytes) -> None:
    play = Play()
    play.succeed("reserve")
    before = play.state
    with pytest.raises(InvalidMessage, match="expected a Charged as JSON"):
        play.succeed("charge", body=body)
    assert play.state == before


def test_a_refusal_that_cannot_be_stored_is_refused() -> None:
    play = Play()
    with pytest.raises(InvalidMessage, match="to be text that can be stored"):
        play.reject("reserve", details={"name": "\ud800"})


def test_replies_are_seen_by_later_steps() -> None:
    class Chain(Saga[Placed], name="chain", version=1, key="order_id"):
        @step
        def charge(self) -> Charge:
            return Charge(order_id=self.key, amount=1)

        @step
        def ship(self) -> Ship:
            return Ship(order_id=self.reply(Chain.charge).payment)

    play = Play(Chain)
    play.succeed("charge")
    assert play.commands[-1].payload == {"order_id": "p1"}


def test_the_order_saga_is_the_one_of_these_tests() -> None:
    assert [s.name for s in Order.definition.steps] == ["reserve", "charge", "ship", "notify"]
