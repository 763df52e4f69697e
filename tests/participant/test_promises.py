"""The five promises of a keeping participant, sentence by sentence, on a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import AsyncConnection

from amends.domain import wire
from amends.infrastructure.postgres.attentive import AttentiveConnection
from tests.participant.service import Service, close, compensate, forward, payments

PAST = datetime(2020, 1, 1, tzinfo=UTC)
SOON = timedelta(hours=1)


@pytest.fixture(params=[AttentiveConnection, AsyncConnection], ids=["bare", "savepoints"])
def kind(request: pytest.FixtureRequest) -> type[AsyncConnection]:
    """The promises hold both with and without a savepoint for every handler."""
    chosen: type[AsyncConnection] = request.param
    return chosen


# 1. One key, one definite answer, at most one effect


async def test_a_command_takes_effect_and_is_answered(service: Service) -> None:
    [answer] = await service.answers(forward())
    assert (answer.outcome, answer.body) == ("succeeded", {"order_id": "k1", "amount": "1.10"})
    assert await service.effects() == ["charge"]


@pytest.mark.semantics("promise-one-answer")
async def test_every_attempt_of_a_key_that_succeeded_is_answered_alike(service: Service) -> None:
    first, second = await service.answers(forward()), await service.answers(forward(behave="reject"))
    assert first[0].body == second[0].body
    assert first[0].message.message_id != second[0].message.message_id
    assert await service.effects() == ["charge"]


@pytest.mark.semantics("promise-one-answer")
async def test_every_attempt_of_a_key_that_was_rejected_is_rejected(service: Service) -> None:
    first, second = await service.answers(forward(behave="reject")), await service.answers(forward())
    assert first[0].body == second[0].body
    assert await service.effects() == []


async def test_another_key_is_decided_anew(service: Service) -> None:
    assert await service.codes(forward("k1", "reject"), forward("k2")) == ["rejected/declined", "succeeded"]


async def test_a_command_delivered_again_gets_the_same_message(service: Service) -> None:
    message = forward()
    first, second = await service.answers(message), await service.answers(message)
    assert first[0].message.message_id == second[0].message.message_id
    assert first[0].body == second[0].body


@pytest.mark.semantics("promise-one-answer")
async def test_failed_is_remembered_for_the_attempt(service: Service) -> None:
    assert await service.code(forward(behave="fail", command_id="a1")) == "failed/busy"
    assert await service.code(forward(behave="well", command_id="a1")) == "failed/busy"
    assert await service.effects() == []


@pytest.mark.semantics("promise-one-answer")
async def test_the_attempt_after_a_failed_one_may_succeed(service: Service) -> None:
    assert await service.code(forward(behave="fail", command_id="a1")) == "failed/busy"
    assert await service.code(forward(command_id="a2")) == "succeeded"
    assert await service.code(forward(command_id="a1")) == "failed/busy"
    assert await service.effects() == ["charge"]


async def test_duplicates_in_one_batch_take_effect_once(service: Service) -> None:
    message = forward()
    assert await service.codes(message, message, forward()) == ["succeeded"] * 3
    assert await service.effects() == ["charge"]


async def test_messages_of_one_key_are_handled_in_order(service: Service) -> None:
    codes = await service.codes(forward(), compensate(), forward("k2"), compensate("k3"), forward("k3"))
    assert codes == ["succeeded", "succeeded", "succeeded", "succeeded", "rejected/compensated"]
    assert await service.effects() == ["charge", "refund"]


# 2. One row: compensation, tombstone, close


@pytest.mark.semantics("promise-one-row")
async def test_a_compensation_undoes_an_effect_once_whatever_its_key(service: Service) -> None:
    await service.answers(forward())
    first = await service.answers(compensate(key="c1"))
    assert first[0].body == {"order_id": "k1"}
    second = await service.answers(compensate(key="c2"))
    assert second[0].body == first[0].body
    assert await service.effects() == ["charge", "refund"]


@pytest.mark.semantics("promise-one-row")
async def test_a_compensation_before_its_forward_command_leaves_a_tombstone(service: Service) -> None:
    [answer] = await service.answers(compensate())
    assert (answer.outcome, answer.body) == ("succeeded", {})
    assert await service.code(forward()) == "rejected/compensated"
    assert await service.effects() == []


async def test_a_compensation_after_a_failed_attempt_leaves_a_tombstone(service: Service) -> None:
    await service.code(forward(behave="fail"))
    assert await service.code(compensate()) == "succeeded"
    assert await service.code(forward()) == "rejected/compensated"
    assert await service.effects() == []


async def test_a_compensation_of_what_was_rejected_does_nothing(service: Service) -> None:
    await service.code(forward(behave="reject"))
    assert await service.code(compensate()) == "succeeded"
    assert await service.code(forward()) == "rejected/declined"
    assert await service.effects() == []


async def test_a_forward_command_after_its_effect_was_undone_is_answered_as_before(service: Service) -> None:
    await service.codes(forward(), compensate())
    assert await service.code(forward()) == "succeeded"
    assert await service.effects() == ["charge", "refund"]


async def test_a_refused_compensation_is_refused_for_its_key_and_may_succeed_under_the_next(
    service: Service,
) -> None:
    await service.code(forward())
    assert await service.code(compensate(key="c1", behave="reject")) == "rejected/declined"
    assert await service.code(compensate(key="c1")) == "rejected/declined"
    assert await service.effects() == ["charge"]
    assert await service.code(compensate(key="c2")) == "succeeded"
    assert await service.code(compensate(key="c1")) == "rejected/declined"
    assert await service.effects() == ["charge", "refund"]


async def test_a_failed_compensation_may_succeed_under_the_same_key(service: Service) -> None:
    await service.code(forward())
    assert await service.code(compensate(behave="fail", command_id="a1")) == "failed/busy"
    assert await service.code(compensate(command_id="a1")) == "failed/busy"
    assert await service.code(compensate(command_id="a2")) == "succeeded"
    assert await service.effects() == ["charge", "refund"]


@pytest.mark.semantics("promise-one-row")
async def test_close_before_the_forward_command_makes_it_impossible(service: Service) -> None:
    [answer] = await service.answers(close())
    assert answer.code == "rejected/closed"
    assert answer.subject == "amends.evt.payments.charge.rejected"
    assert await service.code(forward()) == "rejected/closed"
    assert await service.effects() == []


async def test_close_after_a_failed_attempt_makes_the_next_impossible(service: Service) -> None:
    await service.code(forward(behave="fail"))
    assert await service.codes(close(), forward()) == ["rejected/closed"] * 2
    assert await service.effects() == []


@pytest.mark.semantics("promise-one-row")
async def test_close_after_the_effect_answers_with_the_stored_reply(service: Service) -> None:
    first = await service.answers(forward())
    [answer] = await service.answers(close())
    assert (answer.outcome, answer.body) == ("succeeded", first[0].body)
    assert answer.subject == "amends.evt.payments.charged"
    assert await service.effects() == ["charge"]


async def test_close_after_a_rejection_repeats_it(service: Service) -> None:
    await service.code(forward(behave="reject"))
    assert await service.code(close()) == "rejected/declined"


async def test_close_after_a_tombstone_is_rejected(service: Service) -> None:
    assert await service.codes(compensate(), close()) == ["succeeded", "rejected/compensated"]


@pytest.mark.semantics("promise-one-row")
async def test_compensation_after_close_does_nothing(service: Service) -> None:
    assert await service.codes(close(), compensate(), forward()) == [
        "rejected/closed",
        "succeeded",
        "rejected/closed",
    ]
    assert await service.effects() == []


async def test_a_key_of_another_command_is_refused(service: Service) -> None:
    await service.code(forward())
    stolen = forward(headers={wire.DIRECTION: "forward"})
    stolen = type(stolen)(
        "amends.cmd.payments.remind", stolen.headers, stolen.body, stolen.received, stolen.sequence
    )
    assert await service.code(stolen) == "failed/undecodable"
    assert await service.effects() == ["charge"]


# 3. Savepoint, one commit


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        ("reject", "rejected/declined"),
        ("fail", "failed/busy"),
        ("break", "failed/error"),
        ("statement", "failed/error"),
        ("too slow", "failed/error"),
        ("swallow", "failed/error"),
        ("elsewhere", "failed/error"),
        ("later", "failed/error"),
        ("unsendable", "failed/error"),
        ("at length", "failed/too_large"),
    ],
)
@pytest.mark.semantics("promise-one-commit")
async def test_all_but_success_rolls_the_effect_back(service: Service, behave: str, code: str) -> None:
    assert await service.code(forward(behave=behave)) == code
    assert await service.effects() == []
    assert await service.column("SELECT count(*) FROM unique_later") == [0]


@pytest.mark.parametrize("behave", ["reject", "fail", "break", "statement", "swallow", "at length"])
async def test_the_rest_of_the_batch_goes_on(service: Service, behave: str) -> None:
    codes = await service.codes(forward("k1"), forward("k2", behave), forward("k3"))
    assert (codes[0], codes[2]) == ("succeeded", "succeeded")
    assert [await service.effects(key) for key in ("k1", "k2", "k3")] == [["charge"], [], ["charge"]]


async def test_what_a_handler_breaks_with_is_told(service: Service) -> None:
    [answer] = await service.answers(forward(behave="break"))
    assert answer.body["details"]["type"] == "ZeroDivisionError"
    assert answer.body["details"]["text"] == "a bug"


async def test_details_and_retry_after_travel(service: Service) -> None:
    rejected, failed = await service.answers(forward("k1", "reject"), forward("k2", "fail"))
    assert rejected.body == {
        "code": "declined",
        "reason": "the card was declined",
        "details": {"limit": "0.50"},
    }
    assert failed.body["retry_after"] == 90


@pytest.mark.semantics("promise-one-commit")
async def test_the_answer_is_in_the_outbox_with_the_effect(service: Service) -> None:
    [answer] = await service.answers(forward())
    stored = await service.column(
        "SELECT message_id FROM amends_participant.outbox WHERE published_at IS NULL"
    )
    assert stored == [answer.message.message_id]


# 4. Finite memory


@pytest.mark.semantics("promise-memory")
async def test_an_unknown_key_opened_before_the_horizon_is_forgotten_and_never_executed(
    service: Service,
) -> None:
    old = timedelta(days=31)
    for message in (forward(opened=old), compensate(opened=old), close(opened=old)):
        assert await service.code(message) == "failed/forgotten"
        assert await service.code(message) == "failed/forgotten"
    assert await service.effects() == []
    assert await service.column("SELECT count(*) FROM amends_participant.keys") == [0]


async def test_a_known_key_is_answered_however_old_it_is(service: Service) -> None:
    assert await service.code(forward(opened=timedelta(days=29))) == "succeeded"
    service.participant = payments(horizon=timedelta(days=10))
    assert await service.code(forward(opened=timedelta(days=29))) == "succeeded"
    assert await service.code(compensate(opened=timedelta(days=29))) == "succeeded"
    assert await service.effects() == ["charge", "refund"]


async def test_what_was_pruned_is_forgotten_not_repeated_nor_waved_through(service: Service) -> None:
    opened = timedelta(days=2)
    assert await service.codes(forward(opened=opened), forward("k2", "fail", opened=opened)) == [
        "succeeded",
        "failed/busy",
    ]
    service.participant = payments(horizon=timedelta(0))
    ledger = service.participant.ledger
    assert await ledger.forget(service.connection) == 2
    service.participant = payments(horizon=timedelta(days=1))
    for message in (forward(opened=opened), compensate(opened=opened), close(opened=opened)):
        assert await service.code(message) == "failed/forgotten"
    assert await service.effects() == ["charge"]
    assert await service.column("SELECT count(*) FROM amends_participant.remembered") == [0]


async def test_a_forgotten_key_is_not_known_by_having_been_asked_for_with_another_age(
    service: Service,
) -> None:
    old = timedelta(days=31)
    assert await service.codes(forward(opened=old), compensate(), forward(opened=old)) == [
        "failed/forgotten",
        "succeeded",
        "rejected/compensated",
    ]
    assert await service.effects() == []


async def test_keys_within_the_horizon_are_kept(service: Service) -> None:
    await service.code(forward(opened=timedelta(days=29)))
    assert await service.participant.ledger.forget(service.connection) == 0


async def test_an_old_key_that_was_touched_lately_is_kept(service: Service) -> None:
    await service.code(forward(opened=timedelta(days=29)))
    service.participant = payments(horizon=timedelta(days=10))
    assert await service.participant.ledger.forget(service.connection) == 0
    assert await service.code(compensate(opened=timedelta(days=29))) == "succeeded"


# 5. Expiry


@pytest.mark.semantics("promise-expiry")
async def test_an_expired_command_is_answered_and_not_executed(service: Service) -> None:
    assert await service.code(forward(expires=PAST)) == "failed/expired"
    assert await service.effects() == []


async def test_the_database_clock_decides(service: Service) -> None:
    [now] = await service.column("SELECT clock_timestamp()")
    assert await service.code(forward("k1", expires=now + SOON)) == "succeeded"
    assert await service.code(forward("k2", expires=now)) == "failed/expired"


async def test_the_attempt_after_an_expired_one_may_succeed(service: Service) -> None:
    assert await service.codes(forward(expires=PAST), forward()) == ["failed/expired", "succeeded"]


async def test_a_definite_answer_is_repeated_to_an_expired_command(service: Service) -> None:
    assert await service.codes(forward(), forward(expires=PAST)) == ["succeeded"] * 2
    assert (
        await service.codes(forward("k2", "reject"), forward("k2", expires=PAST)) == ["rejected/declined"] * 2
    )


@pytest.mark.semantics("promise-expiry")
async def test_compensations_and_closing_do_not_expire(service: Service) -> None:
    await service.code(forward())
    assert await service.codes(compensate(expires=PAST), close("k2", expires=PAST)) == [
        "succeeded",
        "rejected/closed",
    ]
    assert await service.effects() == ["charge", "refund"]
