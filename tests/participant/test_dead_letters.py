"""What cannot be understood goes to the dead letters with its reason; whoever can be told, is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from amends.domain import wire
from amends.infrastructure.ports import Incoming
from tests.participant.service import Service, compensate, forward

NOT_ASCII = "kø"


def without(name: str) -> Incoming:
    return forward(headers={name: None})


BAD = {
    "not JSON": forward(body=b"{not json"),
    "not UTF-8": forward(body=b'{"order_id": "\xff"}'),
    "empty": forward(body=b""),
    "not the command": forward(body=b'{"order": 1}'),
    "no direction": without(wire.DIRECTION),
    "unknown direction": forward(headers={wire.DIRECTION: "sideways"}),
    "no key": without(wire.IDEMPOTENCY_KEY),
    "empty key": forward(headers={wire.IDEMPOTENCY_KEY: ""}),
    "a key with a NUL": forward(headers={wire.IDEMPOTENCY_KEY: "a\x00b"}),
    "a key beyond ASCII": forward(headers={wire.IDEMPOTENCY_KEY: NOT_ASCII}),
    "a key with half a character": forward(headers={wire.IDEMPOTENCY_KEY: "\ud800"}),
    "no opening time": without(wire.KEY_OPENED),
    "a bad opening time": forward(headers={wire.KEY_OPENED: "yesterday"}),
    "an opening time without offset": forward(headers={wire.KEY_OPENED: "2026-01-01T00:00:00"}),
    "a bad expiry": forward(headers={wire.EXPIRES: "soon"}),
    "a compensation without forward key": compensate(headers={wire.FORWARD_KEY: None}),
    "compensating with a forward handler": forward(
        headers={wire.DIRECTION: "compensate", wire.FORWARD_KEY: "k1"}
    ),
    "going forward with a compensating handler": compensate(headers={wire.DIRECTION: "forward"}),
    "an unknown action": replace(forward(), subject="amends.cmd.payments.embezzle"),
    "huge headers": forward(headers={wire.KEY: "x" * 20_000}),
}
UNANSWERABLE = {
    "no id": without(wire.CE_ID),
    "another kind of subject": replace(forward(), subject="amends.evt.payments.charge"),
    "no headers at all": replace(forward(), headers={}),
}


@pytest.mark.parametrize("what", [each for each in BAD if each != "huge headers"])
async def test_it_is_buried_answered_and_the_rest_goes_on(service: Service, what: str) -> None:
    bad = BAD[what]
    sent = await service.send(forward("before"), bad, forward("after"))
    answers = [each.headers[wire.OUTCOME] for each in sent if wire.OUTCOME in each.headers]
    assert answers == ["succeeded", "failed", "succeeded"]
    assert b'"undecodable"' in sent[1].body
    assert sent[1].headers[wire.CAUSATION_ID] == bad.headers[wire.CE_ID]
    [letter] = [each for each in sent if each.subject == "amends.dead.payments"]
    assert letter.body == bad.body
    assert letter.headers["Amends-Dead-Reason"]
    assert letter.headers["Amends-Dead-Subject"] == bad.subject
    assert await service.column("SELECT body FROM amends_participant.dead_letters") == [bad.body]
    assert (await service.effects("before"), await service.effects()) == (["charge"], [])


@pytest.mark.parametrize("what", [*UNANSWERABLE, "huge headers"])
async def test_what_names_no_command_is_buried_without_an_answer(service: Service, what: str) -> None:
    [letter] = await service.send((UNANSWERABLE | BAD)[what])
    assert letter.subject == "amends.dead.payments"
    assert await service.column("SELECT count(*) FROM amends_participant.dead_letters") == [1]


async def test_one_delivered_again_is_buried_once(service: Service) -> None:
    first, second = await service.send(BAD["no key"]), await service.send(BAD["no key"])
    assert [each.message_id for each in first] == [each.message_id for each in second]
    assert await service.column("SELECT count(*) FROM amends_participant.dead_letters") == [1]


async def test_one_whose_attempt_is_remembered_is_only_answered_again(service: Service) -> None:
    first, second = await service.send(BAD["not JSON"]), await service.send(BAD["not JSON"])
    assert [each.message_id for each in second] == [each.message_id for each in first[:1]]
    assert await service.column("SELECT count(*) FROM amends_participant.dead_letters") == [1]


async def test_a_decided_key_is_answered_although_the_body_cannot_be_read(service: Service) -> None:
    assert await service.codes(forward(), forward(body=b"{not json")) == ["succeeded"] * 2
    assert await service.column("SELECT count(*) FROM amends_participant.dead_letters") == [0]


async def test_an_attempt_that_could_not_be_read_never_takes_effect_later(service: Service) -> None:
    assert await service.code(forward(body=b"{not json", command_id="a1")) == "failed/undecodable"
    assert await service.code(forward(command_id="a1")) == "failed/undecodable"
    assert await service.code(forward(command_id="a2")) == "succeeded"
    assert await service.effects() == ["charge"]


async def test_a_message_as_large_as_can_be_still_fits_with_its_reason(service: Service) -> None:
    bad = forward(body=b"x" * wire.MAX_MESSAGE)
    _, letter = await service.send(bad)
    size = len(letter.body) + sum(len(name) + len(value) + 4 for name, value in letter.headers.items())
    assert size <= wire.MAX_MESSAGE
    assert letter.headers["Amends-Dead-Cut"] == str(wire.MAX_MESSAGE)
    assert await service.column("SELECT length(body) FROM amends_participant.dead_letters") == [
        wire.MAX_MESSAGE
    ]


async def test_headers_that_cannot_travel_are_written_plainly(service: Service) -> None:
    sent = await service.send(forward(body=b"no", headers={wire.KEY: " ø\n\x00 "}))
    assert {each.headers[wire.KEY] for each in sent} == {"\\xf8"}


async def test_an_answer_too_large_is_buried_and_told(service: Service) -> None:
    answer, letter = await service.send(forward(behave="at length"))
    assert b'"too_large"' in answer.body
    assert letter.subject == "amends.dead.payments"
