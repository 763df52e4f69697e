"""What operators do to sagas while engines run them."""

from __future__ import annotations

import pytest

from amends.domain.errors import ActionRefused
from amends.domain.inputs import Cancel, Resume, Suspend
from amends.domain.wire import Outcome
from tests.process_managers.system import System


async def test_a_suspended_saga_rests_until_it_is_resumed(system: System) -> None:
    system.services.says["charge"] = None
    await system.engine()
    await system.place("o1", "o2")
    await system.settle()
    await system.act(Suspend("s1", "an outage", by="anna"), "o1")
    await system.later(minutes=10)
    assert await system.status("o2") == "compensated", "its timers fired"
    assert system.services.asked.count("charge o1") == 1
    system.services.says.pop("charge")
    await system.act(Resume("r1", "it is over", by="anna"), "o1")
    await system.later(seconds=60)
    assert await system.status("o1") == "completed"
    assert [message.subject for message in await system.published("sagas")].count(
        "test.saga.order.suspended"
    ) == 1
    await system.nothing_is_left()


async def test_a_saga_can_be_suspended_where_no_definition_is_at_hand(system: System) -> None:
    system.services.says["charge"] = None
    await system.engine()
    await system.place("o1")
    await system.settle()
    await system.act(Suspend("s1", "an outage", by="anna"), sagas=())
    with pytest.raises(ActionRefused, match="worker that holds order@1"):
        await system.act(Resume("r1", "it is over", by="anna"), sagas=())
    assert (await system.told())[-1] == "saga.suspended"


async def test_an_action_on_what_never_started_is_refused(system: System) -> None:
    with pytest.raises(ActionRefused, match="none has started"):
        await system.act(Suspend("s1", "an outage", by="anna"))


async def test_an_action_that_a_worker_crosses_is_decided_again(system: System) -> None:
    system.services.says["charge"] = None
    await system.engine()
    await system.place("o1")
    await system.settle()
    await system.services.answer(system.services.received[-1], Outcome.SUCCEEDED)
    # The action is decided while the engine commits the answer: whoever comes second decides again.
    await system.act(Cancel("c1", "changed her mind", by="anna"))
    await system.settle()
    assert "saga.cancel-requested" in await system.told()
    assert await system.status() in ("compensated", "completed")
