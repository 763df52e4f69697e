"""Mistakes are refused when the participant is written."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from amends.domain.errors import DefinitionError
from amends.domain.messages import Command, Event
from amends.participant import Participant, Tx
from amends.participant.participant import NotRunning
from tests.participant.service import Charge, Charged, Refund, Service, command_message, forward, payments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Subjectless(Command):
    pass


async def charge(command: Charge, tx: Tx) -> Charged:
    return Charged(order_id=command.order_id, amount=command.amount)


def test_two_handlers_for_one_command_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"payments\.charge is handled by"):
        payments().handles(Charge)(charge)


def test_a_command_may_be_done_by_one_handler_and_undo_by_another() -> None:
    participant = Participant("payments")
    participant.handles(Charge)(charge)
    participant.handles(Charge, undoes=Refund)(charge)
    assert participant.handlers.subjects() == ["payments.charge"]


def test_a_plain_function_is_refused() -> None:
    def plain(command: Charge, tx: Tx) -> Charged:
        raise NotImplementedError

    with pytest.raises(DefinitionError, match="async def"):
        Participant("payments").handles(Charge)(cast("Any", plain))


def test_a_command_without_subject_is_refused() -> None:
    async def handler(command: Subjectless, tx: Tx) -> None: ...

    with pytest.raises(DefinitionError, match=r"Subjectless.*subject"):
        Participant("payments").handles(Subjectless)(handler)


@pytest.mark.parametrize("name", ["", "Payments", "pay.ments", "pay ments", "*"])
def test_a_name_that_cannot_be_part_of_a_subject_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="expected a name"):
        Participant(name)


def test_a_participant_without_handlers_does_not_start() -> None:
    with pytest.raises(DefinitionError, match="at least one handler"):
        Participant("payments").desk("amends")


async def test_a_wrong_kind_of_reply_is_a_broken_handler(service: Service) -> None:
    participant = Participant("payments")

    async def forgetful(command: Charge, tx: Tx) -> None:
        return None

    participant.handles(Charge)(cast("Any", forgetful))
    service.participant = participant
    [answer] = await service.answers(forward())
    assert answer.code == "failed/error"
    assert "expected Charged, the reply of Charge; got NoneType" in answer.body["details"]["text"]


async def test_a_handler_that_commits_is_refused(service: Service) -> None:
    participant = Participant("payments")

    @participant.handles(Charge)
    async def committing(command: Charge, tx: Tx) -> Charged:
        await tx.commit()
        return await charge(command, tx)

    service.participant = participant
    assert await service.code(forward()) == "failed/error"


async def test_resources_are_there_while_the_lifespan_lasts() -> None:
    @asynccontextmanager
    async def clients() -> AsyncIterator[dict[str, int]]:
        yield {"client": 1}

    participant = Participant("payments", lifespan=clients)
    with pytest.raises(NotRunning):
        _ = participant.resources
    async with participant._living():
        assert participant.resources["client"] == 1
    with pytest.raises(NotRunning):
        _ = participant.resources


async def test_a_handler_may_use_savepoints_of_its_own_and_another_row_factory(service: Service) -> None:
    import psycopg
    from psycopg.rows import dict_row

    participant = Participant("payments")

    @participant.handles(Charge)
    async def careful(command: Charge, tx: Tx) -> Charged:
        cast("Any", tx).row_factory = dict_row
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with tx.transaction():
                await tx.execute("SELECT 1/0")
        await tx.execute("INSERT INTO effects VALUES (%s, 'charge')", [command.order_id])
        return await charge(command, tx)

    service.participant = participant
    assert (
        await service.codes(forward(), command_message(Charge(order_id="k2"), key="k2")) == ["succeeded"] * 2
    )
    assert await service.codes(forward()) == ["succeeded"]


# Reactions


class Paid(Event, subject="payments.paid"):
    order_id: str


class Unpaid(Event, subject="payments.unpaid"):
    order_id: str


class Restocked(Event, subject="inventory.restocked"):
    order_id: str
    count: int


async def react(event: Event, tx: Tx) -> None: ...


def plainly(event: Event, tx: Tx) -> None: ...


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"key": "parcel_id"}, "expected key to name fields of Paid"),
        ({"key": "order_id", "publishes": Unpaid}, "publishes= beside undoes= only"),
        ({"key": "order_id", "undoes": Unpaid, "publishes": Restocked}, "made of the key alone"),
        ({"undoes": Unpaid, "publishes": Unpaid}, "name its fields with key="),
        ({"key": "order_id", "rejected": Restocked}, "made of the key alone"),
        ({"key": "order_id", "rejected": Unpaid, "undoes": Unpaid}, "an undoing is never refused"),
        ({"undoes": Subjectless}, "expected an Event with a subject"),
    ],
)
def test_a_reaction_that_cannot_work_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        Participant("shipping").reacts_to(Paid, **options)(react)


def test_a_reaction_that_is_no_coroutine_function_is_refused() -> None:
    with pytest.raises(DefinitionError, match="async def"):
        Participant("shipping").reacts_to(Paid)(cast("Any", plainly))


def test_two_reactions_to_one_event_that_do_the_same_are_refused() -> None:
    participant = Participant("shipping")
    participant.reacts_to(Paid, key="order_id")(react)
    with pytest.raises(DefinitionError, match="does so already"):
        participant.reacts_to(Paid, key="order_id")(react)


def test_undoing_what_is_never_done_is_refused() -> None:
    participant = Participant("shipping")
    participant.reacts_to(Unpaid, key="order_id", undoes=Paid)(react)
    with pytest.raises(DefinitionError, match="there is none here"):
        participant.desk("amends")


def test_one_event_may_lead_to_something_and_undo_something_else() -> None:
    participant = Participant("shipping")
    participant.reacts_to(Paid, key="order_id")(react)
    participant.reacts_to(Unpaid, key="order_id", undoes=Paid)(react)
    participant.reacts_to(Unpaid, key="order_id")(react)
    participant.desk("amends")
