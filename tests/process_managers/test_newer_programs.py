"""While programs are upgraded one after the other, an older worker leaves alone what a newer one went on with."""

from __future__ import annotations

import pytest

from amends.domain.aggregate import SagaAggregate
from amends.domain.errors import ActionRefused
from amends.domain.events import SagaReleased
from amends.domain.inputs import Suspend
from amends.domain.wire import Outcome
from tests.infrastructure.store_data import NOW, batch, recorded_as
from tests.process_managers.system import System


async def went_on(system: System, key: str = "o1") -> None:
    """A newer program records something in the saga's history that this one cannot read."""
    saga = SagaAggregate(system.id(key))
    saga.load(await system.store.history(saga.id))
    before = saga.version
    saga.append([SagaReleased(at=NOW, cause="r1", by="ann", reason="newer")])
    await system.store.commit(batch((recorded_as(saga, topic="saga.released:2"), before)))


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this program is the newer one."""
    monkeypatch.setattr(SagaReleased, "schema_version", 2)


@pytest.mark.semantics("schema-not-held")
async def test_an_older_worker_leaves_it_alone_and_a_newer_one_takes_it_up_by_itself(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.services.says["reserve"] = None
    older = await system.engine()
    await system.place("o1", "o2")
    await system.settle()
    await went_on(system)
    system.services.says.clear()
    for command in system.services.received:
        await system.services.answer(command, Outcome.SUCCEEDED)
    await system.settle()
    await system.later(minutes=2)  # neither its messages nor its timers are handled
    assert await system.status("o2") == "completed"
    assert await system.status("o1") == "running"
    assert await system.store.quarantined() == []
    assert await system.store.take_held([("order", 1)], 10) == []
    with pytest.raises(ActionRefused, match="newer version: upgrade this program"):
        await system.act(Suspend("s1", "wait", by="anna"))
    await system.nothing_is_left()
    await system.stop(older)
    upgrade(monkeypatch)
    [held] = await system.store.take_held([("order", 1)], 10)
    assert (held.saga_id, held.why) == (system.id("o1"), "version")
    assert "saga.released:2" in held.error
    await system.engine(name="newer")
    await system.settle()
    assert await system.status("o1") == "completed"
    assert (await system.told("o1"))[2:4] == ["saga.released", "command.succeeded"]
    await system.nothing_is_left()


@pytest.mark.semantics("schema-not-held")
async def test_its_timers_fire_where_a_newer_worker_runs(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.services.says["reserve"] = None
    older = await system.engine()
    await system.place("o1")
    await system.settle()
    await went_on(system)
    await system.later(minutes=1)
    await system.stop(older)
    upgrade(monkeypatch)
    assert (await system.told("o1"))[2:] == ["saga.released"]
    await system.engine(name="newer")
    await system.later(seconds=6)
    assert "command.timed-out" in await system.told("o1")
