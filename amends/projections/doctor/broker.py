"""What the broker tells: streams, consumers, and whether it lost what it had stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from amends.domain.events import JsonObject
from amends.infrastructure.broker import Lost, streams
from amends.infrastructure.nats import Broker
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings
from amends.projections.doctor.finding import Finding, attention, broken, well

_RUN_A_WORKER = "amends worker MODULE: it makes what is missing, and sends again what was lost"


async def broker_findings(broker: Broker, settings: Settings, store: PostgresStore) -> AsyncIterator[Finding]:
    """Each stream and each consumer of a type that was ever run."""
    marks = await store.marks.load()
    names = [spec.name for spec in streams(settings.namespace, timedelta(days=settings.stream_max_age))]
    for name in names:
        yield await _stream(broker, name, known=name in marks)
    lost = [name for name in names if isinstance(await broker.inspect(name, marks.get(name)), Lost)]
    if lost:
        yield broken("broker gap", f"the broker lost messages of {', '.join(lost)}", _RUN_A_WORKER)
    else:
        yield well("broker gap", "none: the streams hold what is remembered of them")
    events = next(name for name in names if name.endswith("_EVENTS"))
    running = await store.workers.types()
    for saga in sorted({shape["saga"] for shape in await store.shapes()}):
        for durable in (f"start-{saga}", f"saga-{saga}"):
            info = await broker.api.consumer(events, durable)
            yield _consumer(f"consumer {durable}", info, saga, is_run=saga in running)


async def _stream(broker: Broker, name: str, *, known: bool) -> Finding:
    info = await broker.api.stream(name)
    if info is None:
        told = "is missing" if known else "is not there yet"
        return (broken if known else attention)(f"stream {name}", told, _RUN_A_WORKER)
    state = info["state"]
    return well(f"stream {name}", f"{state['messages']} messages, {state['bytes']} bytes")


def _consumer(about: str, info: JsonObject | None, saga: str, *, is_run: bool) -> Finding:
    if info is None:
        return broken(about, "is missing", _RUN_A_WORKER)
    pending, unacknowledged = info["num_pending"], info["num_ack_pending"]
    told = f"{pending} messages to come, {unacknowledged} in hand"
    if pending + unacknowledged and not is_run:
        mend = f"amends worker MODULE  # one that holds {saga}"
        return broken(about, f"{told}, and no running worker takes them", mend)
    if unacknowledged >= info["config"]["max_ack_pending"]:
        mend = "see in the worker's log what it does not get done; start another"
        return attention(about, f"{told}: no more are delivered", mend)
    return well(about, told)
