"""What-if: where a candidate would have sent something else, and how its sagas would have ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from amends import Command, Event, Retry, Saga, step, wait_for
from amends.domain.aggregate import SagaAggregate
from amends.domain.history import Recorded, read
from amends.domain.identity import saga_id
from amends.domain.inputs import Skip
from amends.domain.migration import Migration
from amends.infrastructure.memory.store import MemoryStore
from amends.infrastructure.ports import Commit, SagaRow, Which
from amends.projections import histories
from amends.projections.whatif.differences import Comparison, compare
from amends.projections.whatif.run import BadExpectation, NothingRecorded, what_if
from amends.testing.virtual_time import VirtualClock, VirtualLoop
from tests.domain.driver import (
    RETRY,
    SECOND,
    Charge,
    Order,
    Placed,
    Play,
    Refund,
)

HOUR = timedelta(hours=1)


class Wrapped(Event, subject="gifts.wrapped"):
    ribbon: str


class Wrap(Command[Wrapped], subject="gifts.wrap"):
    order_id: str


class Approved(Event, subject="people.approved"):
    order_id: str


class TheSame(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """reserve, charge, ship (the pivot), notify: as in the first version."""

    reserve, charge, ship, notify = Order.reserve, Order.charge, Order.ship, Order.notify


class WithTax(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Charges more."""

    reserve = Order.reserve

    @step(timeout=SECOND * 10, retry=RETRY)
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total + 10)

    @charge.compensate(timeout=SECOND * 10, retry=RETRY)
    def refund(self) -> Refund:
        return Refund(order_id=self.key)

    ship, notify = Order.ship, Order.notify


class Wrapping(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Has a step more before the pivot."""

    reserve, charge = Order.reserve, Order.charge

    @step
    def wrap(self) -> Wrap:
        return Wrap(order_id=self.key)

    ship, notify = Order.ship, Order.notify


class Silent(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Notifies nobody."""

    reserve, charge, ship = Order.reserve, Order.charge, Order.ship


class ChargingFirst(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Has another order."""

    charge, reserve, ship, notify = Order.charge, Order.reserve, Order.ship, Order.notify


class Stubborn(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Charges up to five times."""

    reserve = Order.reserve
    charge = Order.charge.with_options(retry=Retry(attempts=5, delay=SECOND, cap=SECOND * 10))
    ship, notify = Order.ship, Order.notify


class Patient(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Waits longer for each answer to a charge."""

    reserve = Order.reserve
    charge = Order.charge.with_options(timeout=SECOND * 30)
    ship, notify = Order.ship, Order.notify


class Hasty(Saga[Placed], name="order", version=2, key="order_id", deadline=SECOND * 5):
    """Has five seconds for it all."""

    reserve, charge, ship, notify = Order.reserve, Order.charge, Order.ship, Order.notify


class Broken(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Cannot charge."""

    reserve = Order.reserve

    @step
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=1 // (self.start.total - self.start.total))

    ship, notify = Order.ship, Order.notify


class Approving(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Asks a person at last."""

    reserve, charge, ship, notify = Order.reserve, Order.charge, Order.ship, Order.notify
    approval = wait_for(Approved, timeout=SECOND * 60, key="order_id", on_timeout="skip")


class Asked(
    Saga[Placed], name="order", version=3, key="order_id", migrates=[Migration(2, {"approval": "answer"})]
):
    """Waits for the same under another name."""

    reserve, charge, ship, notify = Order.reserve, Order.charge, Order.ship, Order.notify
    answer = wait_for(Approved, timeout=SECOND * 60, key="order_id", on_timeout="skip")


class Counted(Event, subject="inventory.counted"):
    left: int


class ReserveCounted(Command[Counted], subject="inventory.reserve"):
    order_id: str


class Counting(Saga[Placed], name="order", version=2, key="order_id", deadline=HOUR):
    """Wants to hear something of its reservation that services did not tell."""

    @step(timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> ReserveCounted:
        return ReserveCounted(order_id=self.key)

    charge, ship, notify = Order.charge, Order.ship, Order.notify


def stored(play: Play) -> list[Recorded]:
    """The history as it is read back from its bytes."""
    return [read(r.originator_id, r.originator_version, r.topic, r.stored) for r in play.history]


def completed() -> Play:
    play = Play()
    play.now += SECOND
    play.succeed("reserve", "charge")
    play.now += 10 * SECOND
    play.succeed("ship", "notify")
    return play


def declined() -> Play:
    play = Play()
    play.succeed("reserve")
    play.reject("charge")
    play.succeed("undo reserve")
    return play


def unanswered() -> Play:
    """The charge was never answered: three attempts, then all was undone."""
    play = Play()
    play.succeed("reserve")
    play.time_out("charge")
    play.succeed("undo charge", "undo reserve")
    return play


def told(saga: type[Saga[Any]], play: Play) -> Comparison:
    return compare(saga.definition, stored(play))


def differences(saga: type[Saga[Any]], play: Play) -> list[tuple[int, str]]:
    return [(each.version, each.name) for each in told(saga, play).differences]


@pytest.mark.parametrize(
    "play", [completed(), declined(), unanswered()], ids=["completed", "declined", "silent"]
)
def test_a_candidate_that_decides_the_same_does_not_differ(play: Play) -> None:
    found = told(TheSame, play)
    assert list(found.differences) == []
    assert (found.recorded, found.candidate) == (play.status, play.status)


def test_another_payload_shows_at_the_command_with_the_fields_that_differ() -> None:
    [changed] = told(WithTax, completed()).differences
    assert (changed.name, changed.version) == ("changed:charge", 4)
    assert changed.text == "would send payments.charge for 'charge' (attempt 1) otherwise: amount: 100 → 110"
    assert told(WithTax, completed()).candidate == "completed"


def test_a_step_more_shows_where_it_would_be_asked_for_and_what_comes_after_is_unknown() -> None:
    found = told(Wrapping, completed())
    assert [(each.version, each.name) for each in found.differences] == [(5, "added:wrap")]
    assert found.candidate == "running, waiting for wrap; how that ends, no record tells"


def test_a_step_more_that_is_not_reached_makes_no_difference() -> None:
    assert differences(Wrapping, declined()) == []


def test_a_step_less_shows_at_the_command_that_would_not_be_sent() -> None:
    found = told(Silent, completed())
    assert [(each.version, each.name) for each in found.differences] == [(8, "missing:notify")]
    assert found.candidate == "completed"


def test_another_order_shows_and_so_does_what_follows_from_it() -> None:
    assert differences(ChargingFirst, completed()) == [(2, "order:charge")]
    found = told(ChargingFirst, declined())
    assert [each.name for each in found.differences] == ["missing:reserve", "missing:undo reserve"]
    assert found.candidate == "compensated"


def test_more_attempts_show_and_nobody_knows_how_they_would_have_been_answered() -> None:
    found = told(Stubborn, unanswered())
    assert [each.name for each in found.differences] == ["added:charge"]
    assert "(attempt 4)" in found.differences[0].text
    assert found.candidate.startswith("running, waiting for charge")


def test_a_longer_timeout_moves_what_follows_and_ends_the_same() -> None:
    found = told(Patient, unanswered())
    assert list(found.differences) == []
    assert found.candidate == "compensated"


def test_an_answer_that_came_late_may_be_in_time_for_a_candidate_that_waits_longer() -> None:
    play = Play()
    play.succeed("reserve")
    play.until(lambda: play.sent.count("charge") == 2)
    play.succeed("charge", attempt=1)
    play.succeed("ship", "notify")
    found = told(Patient, play)
    assert [each.name for each in found.differences] == ["missing:charge"]
    assert found.candidate == "completed"


def test_a_timer_that_only_the_candidate_has_fires_in_its_time() -> None:
    found = told(Hasty, completed())
    assert found.candidate == "completed", "its pivot was out when the deadline passed, and had happened"
    assert [each.name for each in found.differences] == ["added:close ship"]


def test_another_end_is_a_difference_of_its_own() -> None:
    play = Play()
    play.succeed("reserve")
    play.now += 6 * SECOND
    play.succeed("charge", "ship", "notify")
    found = told(Hasty, play)
    names = [each.name for each in found.differences]
    assert names[0] == "added:undo charge"
    assert {"missing:ship", "missing:notify"} <= set(names)
    assert found.candidate.startswith("compensating, waiting for charge")


def test_a_wait_more_is_told_by_its_end() -> None:
    found = told(Approving, completed())
    assert [each.name for each in found.differences] == ["ending:running"]
    assert found.candidate == "running, waiting for approval; how that ends, no record tells"


def test_a_candidate_that_cannot_decide_is_a_difference() -> None:
    found = told(Broken, completed())
    assert found.differences[0].name == "undecidable:reserve"
    assert "ZeroDivisionError" in found.differences[0].text
    assert found.candidate == "in quarantine"


def test_an_answer_that_the_candidate_cannot_read_is_a_difference() -> None:
    found = told(Counting, completed())
    assert found.differences[0].name == "unreadable:reserve"
    assert "left: Field required" in found.differences[0].text


def test_an_operators_action_that_would_be_refused_is_a_difference() -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship")
    play.give(Skip("skip-1", "the mail server is gone", by="anna", step="notify"))
    found = told(Silent, play)
    assert [each.name for each in found.differences] == ["missing:notify", "refused:skip"]


def test_a_saga_that_is_not_over_is_compared_as_far_as_it_has_come() -> None:
    play = Play()
    play.succeed("reserve")
    for _ in range(4):
        play.tick()
    assert differences(TheSame, play) == []
    assert set(differences(Patient, play)) == {(7, "missing:charge"), (10, "missing:charge")}


async def store_of(*plays: Play) -> MemoryStore:
    store = MemoryStore(VirtualClock(VirtualLoop()))
    for number, play in enumerate(plays):
        state, aggregate = play.state, play.aggregate
        row = SagaRow(
            aggregate.id,
            state.saga,
            state.definition,
            f"o{number}",
            str(state.status),
            aggregate.version,
            0,
            None,
        )
        await store.commit(Commit([aggregate], [row]))
    return store


async def test_a_whole_store_is_counted_and_intended_differences_pass() -> None:
    store = await store_of(completed())
    found = await what_if(store, WithTax.definition, Which(saga="order"))
    assert (found.examined, found.differing, found.unexpected, found.passed) == (1, 1, 1, False)
    assert found.counts == {"changed:charge": 1}
    for pattern in ("changed:charge", "changed:*", "*:charge"):
        assert (await what_if(store, WithTax.definition, Which(), [pattern])).passed
    assert not (await what_if(store, WithTax.definition, Which(), ["added:*"])).passed
    assert (await what_if(store, TheSame.definition, Which())).as_json()["the_same"] == 1


class Moved(
    Saga[Placed], name="order", version=2, key="order_id", migrates=[Migration(1, {"charge": "pay"})]
):
    """The charge has another name."""

    reserve = Order.reserve

    @step(timeout=SECOND * 10, retry=RETRY)
    def pay(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total)

    @pay.compensate(timeout=SECOND * 10, retry=RETRY)
    def refund(self) -> Refund:
        return Refund(order_id=self.key)

    ship, notify = Order.ship, Order.notify


class Grateful(Saga[Placed], name="order", version=3, key="order_id"):
    """As the second version, and wraps a gift before it ships."""

    reserve, pay = Order.reserve, Moved.pay

    @step
    def wrap(self) -> Wrap:
        return Wrap(order_id=self.key)

    ship, notify = Order.ship, Order.notify


class Dearer(Saga[Placed], name="order", version=3, key="order_id"):
    """As the second version, and charges more."""

    reserve = Order.reserve

    @step(timeout=SECOND * 10, retry=RETRY)
    def pay(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total + 10)

    @pay.compensate(timeout=SECOND * 10, retry=RETRY)
    def refund(self) -> Refund:
        return Refund(order_id=self.key)

    ship, notify = Order.ship, Order.notify


def migrated(*before: str) -> Play:
    """It goes on under the second version, while an answer is awaited that comes a second later."""
    play = Play()
    play.succeed(*before)
    play.now += SECOND
    play.migrate(Moved)
    play.now += SECOND
    return play


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), ("reserve", "pay", "ship")),
        (("reserve",), ("charge", "ship")),
        (("reserve", "charge"), ("ship",)),
        (("reserve", "charge", "ship"), ()),
    ],
)
def test_a_saga_that_was_migrated_is_decided_again_from_there_on(
    before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    play = migrated(*before)
    play.succeed(*after)
    for _ in range(3):
        play.tick()
    found = told(Moved, play)
    assert list(found.differences) == []
    assert (found.recorded, found.candidate) == ("running", "running")
    assert differences(Grateful, play)[0][1] == "added:wrap"


def test_what_came_before_a_migration_is_not_decided_again() -> None:
    play = migrated("reserve")
    play.reject("charge")
    play.succeed("undo reserve")
    assert differences(Dearer, play) == [], "the charge was asked for before"
    play = migrated()
    play.succeed("reserve", "pay", "ship", "notify")
    assert [name for _, name in differences(Dearer, play)] == ["changed:pay"]


def test_what_an_older_version_waited_for_and_a_newer_one_calls_otherwise_is_not_unknown() -> None:
    play = Play(Approving)
    play.succeed("reserve", "charge", "ship", "notify")
    play.migrate(Asked)
    found = told(Asked, play)
    assert (list(found.differences), found.candidate) == ([], "running")


async def test_sagas_that_were_migrated_are_counted() -> None:
    found = await what_if(await store_of(migrated("reserve")), Moved.definition, Which())
    assert (found.examined, found.migrated, found.same, found.passed) == (1, 1, 1, True)


async def test_a_store_is_gone_through_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "BATCH", 2)
    store = MemoryStore(VirtualClock(VirtualLoop()))
    sagas = []
    for number in range(5):
        aggregate = SagaAggregate(saga_id("test", "order", f"o{number}"))
        aggregate.append([Play().events[0].model_copy(update={"key": f"o{number}"})])
        await store.commit(
            Commit([aggregate], [SagaRow(aggregate.id, "order", 1, f"o{number}", "running", 1, 0, None)])
        )
        sagas.append(aggregate.id)
    seen = [row.saga_id async for row, _ in histories.walk(store)]
    assert seen == sorted(sagas)
    told: list[None] = []
    found = await what_if(store, WithTax.definition, Which(), progress=lambda: told.append(None), listed=3)
    assert (found.examined, len(told)) == (5, 5)
    assert (found.differing, len(found.sagas)) == (5, 3), "all are counted, and some told"


async def test_where_nothing_is_recorded_nothing_is_proven() -> None:
    store = await store_of(completed())
    with pytest.raises(NothingRecorded, match="trip@3, status failed"):
        await what_if(store, WithTax.definition, Which(saga="trip", definition=3, status="failed"))


@pytest.mark.parametrize("pattern", ["charge", "altered:charge", "added:", ""])
async def test_an_expectation_that_nothing_can_meet_is_refused(pattern: str) -> None:
    with pytest.raises(BadExpectation, match="expected KIND:STEP"):
        await what_if(await store_of(completed()), WithTax.definition, Which(), [pattern])
