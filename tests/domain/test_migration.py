"""An explicit, recorded migration moves instances to a newer version where its author wrote how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from amends.domain import events as e
from amends.domain.decide import take_turn
from amends.domain.errors import ActionRefused, DefinitionError, VersionNotHeld
from amends.domain.inputs import Migrate
from amends.domain.messages import Command, Event
from amends.domain.migration import Migration
from amends.domain.saga import Saga, step
from amends.domain.wait_for import wait_for
from amends.domain.wire import STEP, Outcome
from tests.domain.driver import (
    RETRY,
    SECOND,
    Charge,
    Notify,
    Order,
    Placed,
    Play,
    Refund,
    Release,
    Reserve,
    Ship,
)


class Gift(Command, subject="gifts.wrap"):
    order_id: str


class Paid(Event, subject="bank.paid"):
    order_id: str


class Wrapped(
    Saga[Placed], name="order", version=2, key="order_id", migrates=[Migration(1, {"charge": "pay"})]
):
    """The charge has another name, and a gift is wrapped before it is shipped."""

    @step(timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @reserve.compensate(timeout=SECOND * 10, retry=RETRY)
    def release(self) -> Release:
        return Release(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY)
    def pay(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total)

    @pay.compensate(timeout=SECOND * 10, retry=RETRY)
    def refund(self) -> Refund:
        return Refund(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY)
    def wrap(self) -> Gift | None:
        return Gift(order_id=self.reply(Wrapped.pay).payment)

    @step(pivot=True, timeout=SECOND * 10, retry=RETRY)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY)
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


def played(*succeeded: str) -> Play:
    play = Play()
    play.succeed(*succeeded)
    return play


def refused(play: Play, to: type[Saga[Any]], why: str) -> None:
    before = len(play.history)
    with pytest.raises(ActionRefused, match=why):
        play.migrate(to)
    assert (len(play.history), play.state.definition) == (before, 1)


@pytest.mark.semantics("migration")
def test_it_is_recorded_who_moved_it_and_why_and_which_steps_have_other_names() -> None:
    play = played("reserve")
    [event] = play.migrate(Wrapped)
    assert isinstance(event, e.SagaMigrated)
    assert (event.by, event.reason, event.definition) == ("ops", "a better way", 2)
    assert event.steps == {"charge": "pay"}
    assert play.state.definition == 2


def test_from_there_on_it_is_decided_by_the_newer_version() -> None:
    play = played("reserve")
    play.migrate(Wrapped)
    play.succeed("charge")
    assert play.sent == ["reserve", "charge", "wrap"]
    play.succeed("wrap", "ship", "notify")
    assert play.status == "completed"


def test_an_answer_to_a_command_that_was_sent_under_the_old_name_counts() -> None:
    play = played("reserve")
    play.migrate(Wrapped)
    play.answer("charge", Outcome.SUCCEEDED, claims=((STEP, "charge"),))
    assert play.state.step("pay").reply == {"payment": "p1"}
    assert play.sent[-1] == "wrap"


def test_a_retry_keeps_the_key_of_its_round_and_undoing_names_it() -> None:
    play = played("reserve")
    play.fail("charge")
    play.migrate(Wrapped)
    play.tick()
    first, second = (c for c in play.commands if c.step in ("charge", "pay"))
    assert (first.key, first.step, second.step) == (second.key, "charge", "pay")
    play.reject("pay")
    play.succeed("undo reserve")
    assert play.status == "compensated"


def test_a_compensation_goes_on_under_the_newer_version() -> None:
    play = played("reserve", "charge")
    play.reject("ship")
    play.migrate(Wrapped)
    play.succeed("undo charge")
    assert play.sent[-1] == "undo reserve"
    play.succeed("undo reserve")
    assert play.status == "compensated"


def test_a_new_step_whose_turn_it_is_is_asked_at_once() -> None:
    play = played("reserve")
    play.suspend()
    play.succeed("charge")
    play.migrate(Wrapped)
    assert play.sent[-1] == "charge"
    play.resume()
    assert play.sent[-1] == "wrap"


def test_a_history_folds_without_either_definition() -> None:
    """What the state says of the renamed step is in the record: the driver folds the bytes after every event."""
    play = played("reserve", "charge")
    refused(play, Wrapped, "step 'ship' has begun, and 'wrap', which comes before it there, is not done")
    assert play.state.step("charge").former == ()


def test_a_saga_that_is_past_what_was_written_is_refused() -> None:
    class Early(Order, name="order", version=2, key="order_id", migrates=[Migration(1, before="charge")]):
        pass

    refused(
        played("reserve"), Early, "its step 'charge' has begun, and the migration is for sagas before that"
    )
    play = played()
    play.migrate(Early)
    assert play.state.definition == 2


def test_a_map_that_misses_a_recorded_step_is_refused() -> None:
    class Renamed(Wrapped, name="order", version=2, key="order_id", migrates=[Migration(1)]):
        pass

    refused(played("reserve"), Renamed, "its step 'charge' is not among the steps of that version")


@pytest.mark.semantics("migration")
def test_a_version_that_says_nothing_of_this_one_is_refused() -> None:
    class Silent(Order, name="order", version=3, key="order_id", migrates=[Migration(2)]):
        pass

    refused(played(), Silent, r"expected order@3 to say how sagas of version 1 go on .* it does for 2")


def test_a_step_that_asked_another_service_is_refused() -> None:
    class Elsewhere(Order, name="order", version=2, key="order_id", migrates=[Migration(1)]):
        @step
        def charge(self) -> Gift:  # type: ignore[override]
            return Gift(order_id=self.key)

    refused(played("reserve"), Elsewhere, "step 'charge' was asked for on 'payments.charge', which is none")


def test_a_step_that_waits_in_one_version_and_asks_in_the_other_is_refused() -> None:
    class Waits(Saga[Placed], name="order", version=2, key="order_id", migrates=[Migration(1)]):
        reserve = wait_for(Paid, key="order_id", timeout=timedelta(days=1))

    refused(
        played(), Waits, "step 'reserve' waits for an event in one version, and asks a service in the other"
    )


def test_what_the_newer_version_cannot_undo_is_refused_while_compensating() -> None:
    class Sooner(Saga[Placed], name="order", version=2, key="order_id", migrates=[Migration(1)]):
        @step(pivot=True)
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

        @step
        def charge(self) -> Charge:
            return Charge(order_id=self.key, amount=1)

    play = played("reserve")
    play.reject("charge")
    refused(play, Sooner, "step 'reserve', which may have happened, cannot be undone there")


def test_another_start_event_is_refused() -> None:
    class Strict(Placed, subject="orders.placed"):
        customer: str

    class Other(Saga[Strict], name="order", version=2, key="order_id", migrates=[Migration(1)]):
        @step
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

    class Elsewhere(Saga[Paid], name="order", version=2, key="order_id", migrates=[Migration(1)]):
        @step
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

    refused(played(), Other, "its start event does not read as a Strict there: Field required")
    refused(played(), Elsewhere, "it was started by orders.placed, and that version starts with bank.paid")


def test_a_name_that_stood_for_another_step_is_refused() -> None:
    """Keys derive from names: its first command would have the key of the other step's."""

    class Swapped(
        Saga[Placed], name="order", version=2, key="order_id", migrates=[Migration(1, {"reserve": "hold"})]
    ):
        @step
        def hold(self) -> Reserve:
            return Reserve(order_id=self.key)

        @step
        def reserve(self) -> Charge:
            return Charge(order_id=self.key, amount=1)

    refused(played(), Swapped, "'reserve' names another step there than it did in this saga's history")


def test_what_is_over_and_what_is_there_already_is_refused() -> None:
    play = played()
    play.reject("reserve")
    refused(play, Wrapped, "expected an unfinished saga to migrate; order 'o1' is compensated")
    moved = played("reserve")
    moved.migrate(Wrapped)
    with pytest.raises(ActionRefused, match="is of version 2 already"):
        moved.give(Migrate("again", "once more", to=2))
    assert moved.give(Migrate("migrate-1", "a better way", to=2)) == []


def test_without_the_newer_version_at_hand_it_is_that_one_that_is_missing() -> None:
    play = played()
    with pytest.raises(VersionNotHeld, match="worker that holds order@2"):
        take_turn(None, play.id, play.state, Migrate("m", "why", to=2), play.now, "w")


def test_a_migration_that_makes_no_sense_is_refused_when_the_definition_is_made() -> None:
    with pytest.raises(DefinitionError, match="for an older version than 2, got 1 for version 2"):

        class Same(Order, name="order", version=2, key="order_id", migrates=[Migration(2)]):
            pass

    with pytest.raises(DefinitionError, match="expected 'charge' to become a step of this version"):

        class Nowhere(
            Order, name="order", version=2, key="order_id", migrates=[Migration(1, {"charge": "pay"})]
        ):
            pass

    both = {"a": "charge", "b": "charge"}
    with pytest.raises(DefinitionError, match="expected each step to come from one step"):

        class Merged(Order, name="order", version=2, key="order_id", migrates=[Migration(1, both)]):
            pass
