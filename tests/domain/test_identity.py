"""The paragraphs of "Identity"."""

from __future__ import annotations

from uuid import UUID

import pytest

from amends.domain import events as e
from amends.domain.definition import Definition, InvalidMessage
from amends.domain.identity import command_id, idempotency_key, parsed, saga_id
from amends.domain.messages import Event
from amends.domain.replies import Uncorrelated
from amends.domain.saga import Saga, step
from amends.domain.told import Reply, Start
from amends.domain.wire import ATTEMPT, DIRECTION, IDEMPOTENCY_KEY, ROUND, STEP, Direction, Outcome
from tests.domain.driver import SECOND, Placed, Play, Reserve


@pytest.mark.semantics("saga-id")
def test_the_saga_id_is_a_function_of_namespace_type_key_and_fork() -> None:
    assert saga_id("ns", "order", "o1") == UUID(
        "47e93dcb-4e8d-5731-ab97-99a976aaad3a"
    )  # stored histories are found by it
    ids = {
        saga_id("ns", "order", "o1"),
        saga_id("other", "order", "o1"),
        saga_id("ns", "travel", "o1"),
        saga_id("ns", "order", "o2"),
        saga_id("ns", "order", "o1", fork=1),
        saga_id("ns", "order o1", ""),
    }
    assert len(ids) == 6
    assert saga_id("ns", "order", "o1") in ids


@pytest.mark.parametrize("form", ["{}", "{{{}}}", "urn:uuid:{}"])
def test_an_id_is_read_however_it_is_written(form: str) -> None:
    id_ = saga_id("ns", "order", "o1")
    for text in (str(id_), id_.hex, str(id_).upper()):
        assert parsed(form.format(text)) == UUID(form.format(text)) == id_
    for wrong in ("", "o1", str(id_)[:-1], str(id_) + "0", str(id_).replace("4", "g")):
        with pytest.raises(ValueError, match=r"UUID|int"):
            parsed(form.format(wrong))


@pytest.mark.semantics("same-start")
def test_the_same_start_message_again_is_a_no_op() -> None:
    play = Play()
    assert play.give(play.first) == []


@pytest.mark.semantics("same-start")
def test_another_start_for_a_key_that_exists_is_refused_and_recorded_once() -> None:
    play = Play()
    other = Start("start-2", play.id, "test", "o1", "orders.placed", {"order_id": "o1", "total": 5})
    (refused,) = play.give(other)
    assert isinstance(refused, e.StartRefused)
    assert refused.reason == "expected a new key; order 'o1' was started by start-1"
    assert play.give(other) == []
    assert play.sent == ["reserve"]
    assert play.state.start["total"] == 100


def test_a_start_is_refused_after_the_end_too() -> None:
    play = Play()
    play.reject("reserve")
    (refused,) = play.give(Start("start-2", play.id, "test", "o1", "orders.placed", {"order_id": "o1"}))
    assert isinstance(refused, e.StartRefused)
    assert play.status == "compensated"


@pytest.mark.semantics("idempotency-key")
def test_the_idempotency_key_is_a_function_of_saga_step_direction_and_round() -> None:
    saga = saga_id("ns", "order", "o1")
    keys = {
        idempotency_key(saga, "charge", Direction.FORWARD, 1),
        idempotency_key(saga, "charge", Direction.FORWARD, 2),
        idempotency_key(saga, "charge", Direction.COMPENSATE, 1),
        idempotency_key(saga, "charge", Direction.CLOSE, 1),
        idempotency_key(saga, "ship", Direction.FORWARD, 1),
        idempotency_key(saga_id("ns", "order", "o2"), "charge", Direction.FORWARD, 1),
        command_id(saga, "charge", Direction.FORWARD, 1, 1),
        command_id(saga, "charge", Direction.FORWARD, 1, 2),
    }
    assert len(keys) == 8
    play = Play()
    command = play.commands[0]
    assert command.key == idempotency_key(play.id, "reserve", Direction.FORWARD, 1)
    assert command.command_id == command_id(play.id, "reserve", Direction.FORWARD, 1, 1)


@pytest.mark.semantics("round")
def test_key_and_payload_are_fixed_at_the_rounds_first_attempt() -> None:
    built: list[Reserve] = []

    class Restless(Saga[Placed], name="restless", version=1, key="order_id"):
        @step
        def reserve(self) -> Reserve:
            built.append(Reserve(order_id=str(len(built))))
            return built[-1]

    play = Play(Restless)
    play.tick()
    play.tick()
    assert play.sent == ["reserve", "reserve"]
    (round_,) = play.state.step("reserve").forward.rounds
    assert round_.payload == {"order_id": "0"}
    assert len(built) == 1  # read from the history afterwards


@pytest.mark.semantics("idempotency-key")
def test_forward_and_compensation_rounds_count_separately() -> None:
    play = Play()
    play.succeed("reserve")
    play.reject("charge")
    play.reject("undo reserve")
    play.tick()
    numbers = [(c.direction, c.round, c.attempt) for c in play.commands if c.step == "reserve"]
    assert numbers == [("forward", 1, 1), ("compensate", 1, 1), ("compensate", 2, 1)]
    assert {c.forward_key for c in play.commands[2:]} == {play.commands[0].key}


@pytest.mark.semantics("command-id")
def test_a_reply_is_matched_by_its_command_id_and_nothing_weaker() -> None:
    play = Play()
    command = play.commands[0]
    claims = ((STEP, "reserve"), (DIRECTION, "forward"), (IDEMPOTENCY_KEY, str(command.key)))
    forged = Reply("r", command.key, Outcome.SUCCEEDED, b'{"reservation":"r1"}', claims=claims)
    with pytest.raises(Uncorrelated, match=f"a command that saga {play.id} sent; got {command.key}"):
        play.give(forged)
    assert play.sent == ["reserve"]


@pytest.mark.parametrize(
    ("header", "value"),
    [(STEP, "charge"), (DIRECTION, "close"), (ROUND, "2"), (ATTEMPT, "2"), (IDEMPOTENCY_KEY, "x")],
)
def test_a_reply_that_says_of_its_command_what_is_not_so_is_refused(header: str, value: str) -> None:
    play = Play()
    with pytest.raises(Uncorrelated, match=f"expected {header} of the reply to command .* got '{value}'"):
        play.succeed("reserve", claims=((header, value),))


def test_a_reply_of_an_earlier_attempt_is_matched_to_it() -> None:
    play = Play()
    play.wait(SECOND * 10)
    play.tick()
    events = play.succeed("reserve", attempt=1, claims=((ATTEMPT, "1"),))
    assert isinstance(events[0], e.CommandSucceeded)
    assert events[0].attempt == 1


class Renewed(Event, subject="billing.renewed"):
    subscription: str
    period: int
    note: str | None = None


def renewal(key: str | tuple[str, ...]) -> Definition:
    class Renewal(Saga[Renewed], name="renewal", version=1, key=key):
        @step
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

    return Renewal.definition


def test_a_key_may_be_composite() -> None:
    definition = renewal(("subscription", "period"))
    assert definition.key_of(Renewed(subscription="é", period=3)) == '["é", "3"]'
    keys = {definition.key_of(Renewed(subscription=s, period=1)) for s in ("a", 'a", "1', "a,1")}
    assert len(keys) == 3
    assert renewal("subscription").key_of(Renewed(subscription="a", period=3)) == "a"


@pytest.mark.parametrize("key", ["note", ("subscription", "note"), "subscription"])
def test_a_start_whose_key_is_empty_is_refused(key: str | tuple[str, ...]) -> None:
    with pytest.raises(InvalidMessage, match="of a Renewed to name the occurrence, got nothing"):
        renewal(key).key_of(Renewed(subscription="" if key == "subscription" else "a", period=1))
