"""Answers as the wire contract tells."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from amends.domain import wire
from amends.infrastructure.ports import Incoming
from tests.participant.service import Remind, Service, close, command_message, compensate, forward

COPIED = (
    wire.SAGA_ID,
    wire.SAGA,
    wire.KEY,
    wire.STEP,
    wire.DIRECTION,
    wire.ROUND,
    wire.ATTEMPT,
    wire.TRACEPARENT,
)


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        (forward(), "amends.evt.payments.charged"),
        (forward(behave="reject"), "amends.evt.payments.charge.rejected"),
        (forward(behave="fail"), "amends.evt.payments.charge.failed"),
        (close(), "amends.evt.payments.charge.rejected"),
        (compensate(), "amends.evt.payments.refunded"),
        (command_message(Remind(order_id="k1")), "amends.evt.payments.remind.done"),
    ],
)
async def test_each_outcome_has_its_subject(service: Service, message: Incoming, subject: str) -> None:
    [answer] = await service.answers(message)
    assert answer.subject == subject


async def test_an_answer_names_its_command_and_copies_its_headers(service: Service) -> None:
    message = forward()
    [answer] = await service.answers(message)
    headers = answer.message.headers
    assert {name: headers[name] for name in COPIED} == {name: message.headers[name] for name in COPIED}
    assert headers[wire.CAUSATION_ID] == message.headers[wire.CE_ID]
    assert headers[wire.OUTCOME] == "succeeded"


async def test_an_answer_is_a_cloud_event(service: Service) -> None:
    [answer] = await service.answers(forward())
    headers = answer.message.headers
    assert headers[wire.CE_SPECVERSION] == "1.0"
    assert headers[wire.CE_ID] == answer.message.message_id == answer.message.deduplication_id
    assert headers[wire.CE_TYPE] == "payments.charged"
    assert headers[wire.CE_SOURCE] == "/amends/amends/payments"
    assert datetime.fromisoformat(headers[wire.CE_TIME]).utcoffset() is not None


async def test_a_publisher_may_leave_out_trace_and_saga_headers(service: Service) -> None:
    optional = (wire.TRACEPARENT, wire.SAGA_ID, wire.SAGA, wire.KEY, wire.STEP, wire.ROUND, wire.ATTEMPT)
    [answer] = await service.answers(forward(headers=dict.fromkeys(optional)))
    assert answer.outcome == "succeeded"
    assert wire.TRACEPARENT not in answer.message.headers


async def test_done_has_an_empty_body(service: Service) -> None:
    [answer] = await service.answers(command_message(Remind(order_id="k1")))
    assert answer.body == {}


async def test_decimals_travel_as_strings(service: Service) -> None:
    [answer] = await service.answers(forward())
    assert json.loads(answer.message.body)["amount"] == "1.10"


async def test_outcomes_of_one_command_have_different_ids(service: Service) -> None:
    succeeded = await service.answers(forward("k1", command_id="same"))
    rejected = await service.answers(forward("k2", "reject", command_id="same"))
    assert succeeded[0].message.message_id != rejected[0].message.message_id
