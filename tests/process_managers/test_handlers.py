"""Process managers in the event-handler style through the whole worker, over ports in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from amends import Action, Event, ProcessManager, on, starts
from amends.domain import events as e
from amends.domain import wire
from amends.domain.history import verify
from amends.domain.inputs import Resume, Suspend
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.broker import ConsumerSpec
from amends.infrastructure.memory.inbox import MemoryInbox
from amends.infrastructure.ports import Incoming
from amends.process_managers.acting import act
from amends.process_managers.registry import Registry
from amends.testing.processes import Chooser, Move
from amends.testing.stepper import Stepper
from tests.domain.fulfilment import (
    MINUTE,
    SECOND,
    Approved,
    Charge,
    Closed,
    Disputed,
    Fulfilment,
    FulfilmentState,
    Ordered,
    PaidAhead,
)

SENT = ["payments.charge", "warehouse.pack"]
SHIPPED = [*SENT, "shipping.ship", "billing.invoice"]


class System:
    """Workers, and services that answer every command as they are told: a subject maps to an outcome or to silence."""

    def __init__(self, chooser: Chooser | None = None) -> None:
        self.stepper = Stepper(chooser=chooser)
        self.says: dict[str, Outcome | None] = {}
        self.payment_ids: dict[str, str] = {}
        self._commands = self._reader()

    def worker(self, *managers: type[ProcessManager[Any]], name: str = "one") -> None:
        self.stepper.worker(name, [manager.definition for manager in managers or (Fulfilment,)])
        self.stepper.settle()

    def tell(self, event: Event, identity: str, headers: Mapping[str, str] | None = None) -> None:
        self.stepper.publish(event.subject, identity, event.model_dump_json().encode(), headers)
        self.settle()

    def settle(self) -> None:
        """Let workers and services do all that is to be done now."""
        self.stepper.settle()
        while commands := self.stepper.complete(self._commands.receive(1000, 0)):
            for command in commands:
                self._answer(command)
            self.stepper.complete(self._commands.acknowledge(commands))
            self.stepper.settle()

    def later(self, **duration: float) -> None:
        """Let time pass, and everybody work on the way; of days only the last seconds, for they take as long."""
        left = timedelta(**duration)
        if left > MINUTE * 10:
            self.stepper.jump(left - SECOND * 10)
            left = SECOND * 10
        while left > timedelta(0):
            self.stepper.advance(min(SECOND, left))
            self.settle()
            left -= SECOND

    def act(self, action: Suspend | Resume, key: str = "o1") -> None:
        """What an operator does."""
        stepper, saga_id = self.stepper, self.stepper.id("fulfilment", key)
        registry = Registry([Fulfilment.definition])
        stepper.complete(act(stepper.store, stepper.broker.publisher(), registry, "test", saga_id, action))
        self.settle()

    def closed(self) -> list[Incoming]:
        """Every event of the type `Closed` that was published."""
        return [m for m in self.stepper.published("events") if m.subject.endswith(Closed.subject)]

    def events(self, key: str = "o1", saga: str = "fulfilment") -> list[e.SagaEvent]:
        history = self.stepper.history(self.stepper.id(saga, key))
        verify(history)
        return [recorded.event for recorded in history]

    def types(self, key: str = "o1", saga: str = "fulfilment") -> list[str]:
        return [event.type for event in self.events(key, saga)]

    def sent(self, key: str = "o1") -> list[str]:
        return [event.subject for event in self.events(key) if isinstance(event, e.CommandRecorded)]

    def status(self, key: str = "o1", saga: str = "fulfilment") -> str:
        rows = self.stepper.complete(self.stepper.store.saga_rows(saga=saga, key=key))
        return rows[0].status if rows else "unknown"

    def unclaimed(self) -> list[tuple[str, str]]:
        """What became of events that found no saga, latest first."""
        found = self.stepper.complete(self.stepper.store.unclaimed(100))
        return [(each.message_id, each.became) for each in found]

    def dead(self) -> dict[str, str]:
        return {identity: letter.reason for identity, letter in self.stepper.store.dead.items()}

    def _reader(self) -> MemoryInbox:
        spec = ConsumerSpec("TEST_COMMANDS", "services", ("test.cmd.>",))
        self.stepper.complete(self.stepper.broker.ensure((), [spec]))
        return self.stepper.broker.inbox([spec])

    def _answer(self, command: Incoming) -> None:
        subject = command.subject.removeprefix("test.cmd.")
        outcome = self.says.get(subject, Outcome.SUCCEEDED)
        if outcome is None:
            return
        forward = command.headers[wire.DIRECTION] == Direction.FORWARD
        charged = forward and subject == Charge.subject and outcome is Outcome.SUCCEEDED
        key = command.headers[wire.KEY]
        body = {"payment_id": self.payment_ids.get(key, f"p-{key}")} if charged else {"reason": "no"}
        place = (
            "payments.charged"
            if charged
            else f"{subject}.{'done' if outcome is Outcome.SUCCEEDED else outcome}"
        )
        copied = (wire.SAGA_ID, wire.SAGA, wire.KEY)
        headers = {
            **{name: command.headers[name] for name in copied},
            wire.CAUSATION_ID: command.headers[wire.CE_ID],
            wire.OUTCOME: str(outcome),
        }
        identity = f"answer-{command.headers[wire.CE_ID]}"
        self.stepper.publish(place, identity, json.dumps(body).encode(), headers)


@pytest.fixture
def system() -> Iterator[System]:
    made = System()
    yield made
    made.stepper.close()


def approved(key: str = "o1") -> Approved:
    return Approved(order_id=key)


# What it comes to


def test_a_saga_of_handlers_is_completed(system: System) -> None:
    system.worker()
    system.tell(Ordered(order_id="o1"), "start-1")
    assert (system.sent(), system.status()) == (SENT, "running")
    system.tell(approved(), "approval-1")
    assert (system.sent(), system.status()) == (SHIPPED, "completed")
    [closed] = system.closed()
    assert json.loads(closed.body) == {"order_id": "o1", "payment_id": "p-o1"}
    assert closed.headers[wire.SAGA] == "fulfilment@1"
    milestones = [m.subject.rpartition(".")[2] for m in system.stepper.published("sagas")]
    assert milestones == ["started", "completed"]


def test_a_saga_of_handlers_is_compensated(system: System) -> None:
    system.worker()
    system.says["shipping.ship"] = Outcome.REJECTED
    system.tell(Ordered(order_id="o1"), "start-1")
    system.tell(approved(), "approval-1")
    assert system.sent() == [*SENT, "shipping.ship", "warehouse.unpack", "payments.refund"]
    assert system.status() == "compensated"


def test_a_timeout_comes_at_its_moment(system: System) -> None:
    system.worker()
    system.tell(Ordered(order_id="o1"), "start-1")
    system.later(days=1, seconds=-1)
    assert "timeout.fired" not in system.types()
    system.later(seconds=2)
    assert system.types().count("timeout.fired") == 1
    system.later(days=1)
    assert system.status() == "compensated"
    assert system.sent()[-2:] == ["warehouse.unpack", "payments.refund"]


def test_what_handlers_publish_while_a_saga_is_suspended_leaves_when_it_is_resumed(system: System) -> None:
    system.worker()
    system.tell(Ordered(order_id="o1"), "start-1")
    system.act(Suspend("s1", "look at it"))
    system.tell(approved(), "approval-1")
    assert "event.published" in system.types()
    assert (system.sent(), system.closed()) == (SENT, [])
    system.act(Resume("r1", "seen"))
    assert (system.sent(), len(system.closed()), system.status()) == (SHIPPED, 1, "completed")


def test_a_send_without_an_answer_is_tried_again_and_then_undone(system: System) -> None:
    system.worker()
    system.says["payments.charge"] = None
    system.tell(Ordered(order_id="o1"), "start-1")
    system.later(minutes=5)
    assert system.sent() == [*SENT, "payments.charge", "warehouse.unpack", "payments.refund"]
    assert system.status() == "compensated"


# How events find their saga


@pytest.mark.semantics("events-find-sagas")
def test_an_event_finds_its_saga_by_a_field_that_holds_its_key(system: System) -> None:
    system.worker()
    for key in ("o1", "o2"):
        system.tell(Ordered(order_id=key), f"start-{key}")
    system.tell(approved("o2"), "approval-2")
    assert (system.status("o1"), system.status("o2")) == ("running", "completed")


@pytest.mark.semantics("events-find-sagas")
def test_an_event_finds_its_saga_by_a_key_that_it_learnt_on_the_way(system: System) -> None:
    system.worker()
    system.payment_ids = {"o1": "p-1", "o2": "p-2"}
    for key in ("o1", "o2"):
        system.tell(Ordered(order_id=key), f"start-{key}")
    system.tell(Disputed(payment_id="p-2"), "dispute-2")
    assert (system.status("o1"), system.status("o2")) == ("running", "compensated")


class Signed(Event, subject="desk.signed"):
    pass


class Stamped(Event, subject="desk.stamped"):
    pass


class Signing(ProcessManager[FulfilmentState], name="signing", version=1):
    """Listens to events that name their saga in a header."""

    @starts(Ordered, key="order_id")
    def ordered(self, event: Ordered) -> None:
        """Nothing to decide."""

    @on(Signed)
    def signed(self, event: Signed) -> None:
        self.state.approvals.append("signed")

    @on(Stamped, header="X-Order")
    def stamped(self, event: Stamped) -> None:
        self.state.approvals.append("stamped")


@pytest.mark.semantics("events-find-sagas")
def test_an_event_finds_its_saga_by_a_header(system: System) -> None:
    system.worker(Signing)
    system.tell(Ordered(order_id="o 1ü"), "start-1")
    saga_id = str(system.stepper.id("signing", "o 1ü"))
    system.tell(Signed(), "by-key", {wire.KEY: "o%201%C3%BC"})
    system.tell(Signed(), "by-id", {wire.SAGA: "signing@1", wire.SAGA_ID: saga_id})
    system.tell(Stamped(), "by-own-header", {"X-Order": "o 1ü"})
    handled = [event.cause for event in system.events("o 1ü", "signing")]
    assert handled == ["start-1", "start-1", "by-key", "by-id", "by-own-header"]


def test_an_event_whose_headers_name_another_saga_type_is_for_that_one(system: System) -> None:
    system.worker(Signing, Fulfilment)
    system.tell(Signed(), "others", {wire.SAGA: "fulfilment@1", wire.KEY: "o1"})
    assert (system.unclaimed(), system.dead()) == ([], {})


@pytest.mark.parametrize("headers", [{}, {wire.KEY: ""}])
def test_an_event_that_names_no_saga_is_a_dead_letter(system: System, headers: dict[str, str]) -> None:
    system.worker(Signing)
    system.tell(Signed(), "nameless", headers)
    assert "Amends-Key" in system.dead()["nameless"]
    system.tell(Stamped(), "unstamped")
    assert "X-Order" in system.dead()["unstamped"]


def test_an_answer_to_another_saga_type_is_an_event_for_who_listens_by_a_field(system: System) -> None:
    class Watching(ProcessManager[FulfilmentState], name="watching", version=1):
        @starts(Ordered, key="order_id")
        def ordered(self, event: Ordered) -> None:
            """Nothing to decide."""

        @on(Closed, key="order_id")
        def closed(self, event: Closed) -> None:
            self.state.payment_id = event.payment_id

    system.worker(Fulfilment, Watching)
    system.tell(Ordered(order_id="o1"), "start-1")
    system.tell(approved(), "approval-1")
    [_, closed] = [event for event in system.events("o1", "watching") if isinstance(event, e.EventHandled)]
    assert closed.changed == {"payment_id": "p-o1"}


@pytest.mark.semantics("learnt-keys")
def test_of_two_sagas_that_claim_one_key_the_second_is_told_so_and_nothing_is_lost(system: System) -> None:
    system.worker()
    system.payment_ids = {"o1": "p-1", "o2": "p-1"}
    system.tell(Ordered(order_id="o1"), "start-1")
    system.tell(Ordered(order_id="o2"), "start-2")
    assert "key.learnt" in system.types("o1")
    assert [each for each in system.types("o2") if each.startswith("key.")] == ["key.clashed"]
    system.tell(Disputed(payment_id="p-1"), "dispute-1")
    assert (system.status("o1"), system.status("o2")) == ("compensated", "running")
    system.tell(approved("o2"), "approval-2")
    assert system.status("o2") == "completed"


def test_of_two_sagas_that_claim_one_key_in_one_batch_one_gets_it(system: System) -> None:
    system.payment_ids = {"o1": "p-1", "o2": "p-1"}
    for key in ("o1", "o2"):
        system.stepper.publish(Ordered.subject, f"start-{key}", f'{{"order_id": "{key}"}}'.encode())
    system.worker()
    system.settle()
    learnt = [each for key in ("o1", "o2") for each in system.types(key) if each.startswith("key.")]
    assert sorted(learnt) == ["key.clashed", "key.learnt"]


# What finds no saga


@pytest.mark.semantics("unclaimed")
def test_an_event_that_comes_before_its_saga_is_kept_and_handled_when_it_has_started(system: System) -> None:
    system.worker()
    system.tell(approved(), "approval-1")
    assert system.unclaimed() == [("approval-1", "kept")]
    system.tell(Ordered(order_id="o1"), "start-1")
    assert system.status() == "completed"
    assert not system.stepper.complete(system.stepper.store.take_held([("fulfilment", 1)], 10))


def test_an_event_and_the_start_after_it_in_one_batch(system: System) -> None:
    for event, identity in ((approved(), "approval-1"), (Ordered(order_id="o1"), "start-1")):
        system.stepper.publish(event.subject, identity, event.model_dump_json().encode())
    system.worker()
    system.settle()
    assert system.status() == "completed"


@pytest.mark.semantics("unclaimed")
def test_an_event_that_comes_before_its_key_is_learnt_is_kept_until_then(system: System) -> None:
    system.worker()
    system.says["payments.charge"] = None
    system.tell(Ordered(order_id="o1"), "start-1")
    system.tell(Disputed(payment_id="p-o1"), "dispute-1")
    assert (system.status(), system.unclaimed()) == ("running", [("dispute-1", "kept")])
    system.says.clear()
    system.later(minutes=1, seconds=5)
    assert system.status() == "compensated"


@pytest.mark.semantics("unclaimed")
def test_an_event_that_waited_for_its_saga_too_long_is_a_dead_letter_with_the_reason(system: System) -> None:
    system.worker()
    system.tell(approved(), "approval-1")
    system.later(days=1, seconds=-1)
    assert system.dead() == {}
    system.later(seconds=10)
    assert system.unclaimed() == [("approval-1", "dead")]
    assert "no fulfilment is found by the key 'o1', and none was within 1 day" in system.dead()["approval-1"]
    system.tell(Ordered(order_id="o1"), "start-1")
    assert system.status() == "running"


@pytest.mark.semantics("unclaimed")
def test_an_early_event_survives_the_death_of_the_worker_that_kept_it(system: System) -> None:
    system.worker()
    system.tell(approved(), "approval-1")
    system.stepper.kill("one")
    system.worker(name="two")
    system.tell(Ordered(order_id="o1"), "start-1")
    assert system.status() == "completed"


def test_an_early_event_that_comes_twice_is_handled_once(system: System) -> None:
    system.worker()
    system.tell(approved(), "approval-1")
    system.tell(approved(), "approval-1")
    system.tell(Ordered(order_id="o1"), "start-1")
    handled = [
        event for event in system.events() if event.cause == "approval-1" and event.type == "event.handled"
    ]
    assert len(handled) == 1


class Ignoring(ProcessManager[FulfilmentState], name="ignoring", version=1):
    @starts(Ordered, key="order_id")
    def ordered(self, event: Ordered) -> None:
        """Nothing to decide."""

    @on(Approved, key="order_id", missing="ignore")
    def approved(self, event: Approved) -> None:
        self.state.approvals.append(event.by)


class Burying(ProcessManager[FulfilmentState], name="burying", version=1):
    @starts(Ordered, key="order_id")
    def ordered(self, event: Ordered) -> None:
        """Nothing to decide."""

    @on(Approved, key="order_id", missing="dead")
    def approved(self, event: Approved) -> None:
        self.state.approvals.append(event.by)


@pytest.mark.semantics("unclaimed")
def test_an_event_without_a_saga_may_be_ignored_and_an_auditor_sees_it(system: System) -> None:
    system.worker(Ignoring)
    system.tell(approved(), "approval-1")
    assert (system.unclaimed(), system.dead()) == ([("approval-1", "ignored")], {})


@pytest.mark.semantics("unclaimed")
def test_an_event_without_a_saga_may_be_a_dead_letter_at_once(system: System) -> None:
    system.worker(Burying)
    system.tell(approved(), "approval-1")
    assert system.unclaimed() == [("approval-1", "dead")]
    assert "no burying is found by the key 'o1'" in system.dead()["approval-1"]
    assert [m.headers[wire.CE_ID] for m in system.stepper.published("dead")] == ["approval-1"]


def test_each_saga_type_treats_an_event_without_a_saga_as_it_chose(system: System) -> None:
    system.worker(Fulfilment, Ignoring, Burying)
    system.tell(approved(), "approval-1")
    assert sorted(became for _, became in system.unclaimed()) == ["dead", "ignored", "kept"]
    system.tell(Ordered(order_id="o1"), "start-1")
    assert system.status() == "completed"


# Versions


class Listening(ProcessManager[FulfilmentState], name="fulfilment", version=2):
    """A version that listens to one event more."""

    @starts(Ordered, key="order_id")
    def ordered(self, event: Ordered) -> None:
        """Nothing to decide."""

    @on(Signed, header="X-Order")
    def signed(self, event: Signed) -> None:
        self.state.approvals.append("signed")


@pytest.mark.semantics("version-not-held")
def test_an_event_that_only_another_version_listens_to_waits_for_a_worker_that_holds_it(
    system: System,
) -> None:
    system.worker(Listening, name="newer")
    system.tell(Ordered(order_id="o1"), "start-1")
    system.stepper.stop("newer")
    system.worker(name="older")
    system.tell(Signed(), "signature-1", {"X-Order": "o1"})
    assert system.dead() == {}
    assert "signature-1" not in [event.cause for event in system.events()]
    system.worker(Listening, name="newer")
    system.later(seconds=10)
    assert "signature-1" in [event.cause for event in system.events()]


def test_an_event_that_the_version_of_its_saga_does_not_listen_to_is_passed_over(system: System) -> None:
    system.worker(name="older")
    system.tell(Ordered(order_id="o1"), "start-1")
    system.worker(Fulfilment, Listening, name="both")
    system.stepper.stop("older")
    system.tell(Signed(), "signature-1", {"X-Order": "o1"})
    [passed] = [event for event in system.events() if isinstance(event, e.EventPassedOver)]
    assert "fulfilment@1 does not listen" in passed.reason


def test_a_start_event_that_only_an_older_version_knows_is_still_heard(system: System) -> None:
    system.worker(Fulfilment, Listening, name="both")
    system.tell(PaidAhead(order_id="o1"), "paid-1")
    assert system.sent() == ["warehouse.pack"]
    system.tell(Ordered(order_id="o1"), "start-1")
    assert "payments.charge" in system.sent()
    system.tell(Ordered(order_id="o2"), "start-2")
    assert [event.definition for event in system.events("o2") if isinstance(event, e.SagaStarted)] == [2]


# Crashes


class DiesOnce:
    """Dies at the given passage of this label."""

    def __init__(self, label: str, passage: int) -> None:
        self.label = label
        self.left = passage

    def at(self, program: str, label: str) -> Move:
        return Move.DIE if self.dies_at(program, label) else Move.PASS

    def dies_at(self, program: str, probe: str) -> bool:
        self.left -= probe == self.label
        return probe == self.label and self.left == 0


@pytest.mark.parametrize("passage", [1, 2, 3])
@pytest.mark.parametrize("label", ["loaded", "store.commit", "committed", "published", "acknowledged"])
def test_whoever_dies_each_event_is_handled_once_and_each_command_sent(label: str, passage: int) -> None:
    system = System(DiesOnce(label, passage))
    system.tell(approved(), "approval-1")
    system.worker()
    system.tell(Ordered(order_id="o1"), "start-1")
    system.worker(name="two")
    system.later(minutes=2)
    assert (system.status(), system.sent()) == ("completed", SHIPPED)
    closed = system.closed()
    assert len({m.headers[wire.CE_ID] for m in closed}) == 1
    handled = [each.cause for each in system.events() if each.type == "event.handled"]
    assert handled.count("approval-1") == 1
    system.stepper.close()


def test_what_is_published_is_swept_where_its_worker_died_after_the_commit() -> None:
    system = System(DiesOnce("committed", 4))
    system.worker()
    system.tell(Ordered(order_id="o1"), "start-1")
    system.tell(approved(), "approval-1")
    system.worker(name="two")
    system.later(seconds=10)
    assert system.status() == "completed"
    assert system.closed()
    system.stepper.close()


def test_published_events_that_the_broker_lost_are_published_again(system: System) -> None:
    system.worker()
    system.tell(Ordered(order_id="o1"), "start-1")
    system.tell(approved(), "approval-1")
    [closed] = system.closed()
    system.stepper.lose("events")
    system.later(seconds=10)
    [again] = system.closed()
    assert (again.headers[wire.CE_ID], again.body) == (closed.headers[wire.CE_ID], closed.body)


def test_a_handler_that_fails_puts_its_saga_alone_into_quarantine(system: System) -> None:
    class Faulty(ProcessManager[FulfilmentState], name="faulty", version=1):
        @starts(Ordered, key="order_id")
        def ordered(self, event: Ordered) -> Iterator[Action]:
            if event.total >= 1000:
                raise ZeroDivisionError("too much")
            yield from ()

    system.worker(Faulty)
    system.tell(Ordered(order_id="o1", total=1000), "start-1")
    system.tell(Ordered(order_id="o2"), "start-2")
    quarantined = system.stepper.complete(system.stepper.store.quarantined())
    [(key, error)] = [(each.key, each.error) for each in quarantined]
    assert (key, error.partition(" (")[0]) == ("", "ZeroDivisionError: too much")
    assert system.status("o2", "faulty") == "running"


@pytest.mark.semantics("type-limit")
def test_at_the_limit_what_starts_a_manager_is_heard_by_one_that_runs_and_else_waits(system: System) -> None:
    system.stepper.worker("one", [replace(Fulfilment.definition, limit=1)])
    system.says["payments.charge"] = None
    system.tell(Ordered(order_id="o1", total=5), "first")
    system.tell(Ordered(order_id="o2", total=5), "second")
    system.tell(PaidAhead(order_id="o1"), "ahead")
    assert system.types().count("event.handled") == 2
    assert system.status("o2") == "unknown"
    system.act(Suspend("s1", "an outage"))
    system.later(seconds=6)
    assert system.status("o2") == "running"
