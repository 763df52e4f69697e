"""What the broker lost is sent again, whoever notices it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from amends.domain import wire
from amends.domain.saga import Saga, step
from amends.infrastructure.broker import MessageTooLarge, NotStored
from amends.infrastructure.ports import Outgoing
from amends.process_managers.recovery import send_again
from tests.domain.driver import Order, Placed, Reserve
from tests.process_managers.system import NAMESPACE, Instead, System


class Return(Saga[Placed], name="return", version=1, key="order_id"):
    """Another type, which another worker runs."""

    @step
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)


async def test_a_loss_is_mended_for_types_that_other_workers_run(system: System) -> None:
    """Both look at the same marks: the second one sees no loss any more."""
    system.services.says["reserve"] = None
    await system.engine(Order, name="one")
    await system.engine(Return, name="two")
    await system.place("o1")
    await system.settle()
    assert system.services.asked == ["reserve o1"] * 2
    system.broker.lose(wire.stream(NAMESPACE, "commands"))
    await system.later(seconds=6)
    assert {await system.status(saga=saga) for saga in ("order", "return")} == {"running"}
    await system.services.open()
    await system.settle()
    sent = Counter(each.headers[wire.SAGA] for each in system.services.received)
    assert min(sent["order@1"], sent["return@1"]) >= 2


async def test_a_command_that_cannot_be_sent_costs_no_other_and_not_the_worker(system: System) -> None:
    system.services.says["reserve"] = None
    await system.engine()
    await system.place("o1", "o2")
    await system.settle()

    async def publish(messages: Sequence[Outgoing]) -> None:
        if large := [each for each in messages if each.headers[wire.KEY] == "o1"]:
            raise MessageTooLarge([NotStored(each, "too large") for each in large])
        await system.broker.publisher().publish(messages)

    assert await send_again(system.store, Instead(system.broker.publisher(), publish=publish)) == 1
    await system.settle()
    assert system.services.asked[2:] == ["reserve o2"]
