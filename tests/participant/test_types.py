"""What type checkers must refuse: each `ignore` here is an error of its own once it is not needed."""

from __future__ import annotations

from amends.domain.messages import Done
from amends.participant import Participant, Tx
from tests.participant.service import Charge, Charged, Refund, Refunded, Remind

participant = Participant("typed")


@participant.handles(Charge)  # type: ignore[arg-type]
async def answers_with_another_reply(command: Charge, tx: Tx) -> Refunded:
    raise NotImplementedError


@participant.handles(Refund, undoes=Charge)  # type: ignore[arg-type]
async def answers_with_nothing(command: Refund, tx: Tx) -> None:
    raise NotImplementedError


def test_a_command_without_a_reply_may_be_answered_with_done_or_nothing() -> None:
    made = Participant("typed")

    async def nothing(command: Remind, tx: Tx) -> None: ...

    async def done(command: Remind, tx: Tx) -> Done:
        return Done()

    made.handles(Remind)(nothing)
    made.handles(Remind, undoes=Charge)(done)
    assert len(list(made.handlers)) == 2


async def test_a_handler_stays_the_function_that_it_is() -> None:
    made = Participant("typed")

    @made.handles(Charge)
    async def charge(command: Charge, tx: Tx | None) -> Charged:
        return Charged(order_id=command.order_id, amount=command.amount)

    assert (await charge(Charge(order_id="o"), None)).order_id == "o"  # type: ignore[arg-type]
