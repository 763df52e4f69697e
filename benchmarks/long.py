"""What a saga costs that has thousands of events: to load it, to decide and commit one more message, to look at it.

`python -m benchmarks.long [--lengths N ...]`: PostgreSQL of its own. A process manager hears readings of a meter, each
of which changes its state, as many as are asked for; then each operation is done several times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from pydantic import BaseModel

from amends import Event, ProcessManager, on, starts
from amends.cli.bench.figure import Figure
from amends.cli.running import execute
from amends.domain import wire
from amends.domain.identity import saga_id
from amends.infrastructure.ports import Incoming, Outgoing
from amends.infrastructure.postgres.store import PostgresStore
from amends.process_managers.deciding import Deciding
from amends.process_managers.registry import Registry
from amends.process_managers.routing import REPLIES, START
from amends.projections.travel.moments import as_of
from benchmarks.servers import temporary

NAMESPACE: Final = "long"
LENGTHS: Final = (10, 1_000, 10_000)
_ROUNDS: Final = 7
_AT_ONCE: Final = 500


class Opened(Event, subject="meter.opened"):
    meter: str


class Read(Event, subject="meter.read"):
    meter: str
    units: int


class Units(BaseModel):
    units: int = 0


class Meter(ProcessManager[Units], name="meter", version=1):
    @starts(Opened, key="meter")
    def opened(self, event: Opened) -> None:
        pass

    @on(Read, key="meter")
    def read(self, event: Read) -> None:
        self.state.units += event.units


class Nowhere:
    """A broker that takes everything, of which this saga tells only that it began."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        pass


def message(meter: str, number: int) -> Incoming:
    """The first one opens the meter, every other is a reading."""
    kind, units = (Read, ',"units":1') if number else (Opened, "")
    headers = {wire.CE_ID: f"{meter}-{number}"}
    body = f'{{"meter":"{meter}"{units}}}'.encode()
    subject = wire.event_subject(NAMESPACE, kind.subject)
    consumer = f"{REPLIES if number else START}meter"
    return Incoming(subject, headers, body, datetime.now(UTC), number, consumer=consumer)


def worker(store: PostgresStore) -> Deciding:
    """One that remembers nothing yet."""
    return Deciding(
        Registry([Meter.definition]), store, Nowhere(), namespace=NAMESPACE, name="w", known_types=["meter"],
        now=lambda: datetime.now(UTC), woken=lambda _: None, probe=lambda _: None,
    )  # fmt: skip


async def tell(deciding: Deciding, meter: str, numbers: Iterable[int]) -> None:
    await deciding.handle([message(meter, number) for number in numbers], (), datetime.now(UTC))


async def milliseconds(work: Callable[[int], Awaitable[object]]) -> float:
    took: list[float] = []
    for number in range(_ROUNDS):
        began = time.perf_counter()
        await work(number)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def measure(store: PostgresStore, length: int) -> list[Figure]:
    meter = f"meter-{length}"
    id_ = saga_id(NAMESPACE, "meter", meter)
    remembering = worker(store)
    for first in range(0, length, _AT_ONCE):
        await tell(remembering, meter, range(first, min(first + _AT_ONCE, length)))
    works: dict[str, Callable[[int], Awaitable[object]]] = {
        "load": lambda _: store.load([id_]),
        "one more message, remembered": lambda number: tell(remembering, meter, [length + number]),
        "one more message, loaded": lambda number: tell(worker(store), meter, [length + _ROUNDS + number]),
        "history": lambda _: store.history(id_),
        "as of an instant": lambda _: past(store, id_),
    }
    subject = f"a saga of {length:,} events"
    return [Figure(subject, name, "ms", (await milliseconds(work),)) for name, work in works.items()]


async def past(store: PostgresStore, id_: UUID) -> object:
    return as_of(await store.unread(id_), datetime.now(UTC))


async def main(lengths: Sequence[int]) -> None:
    async with (
        temporary(namespace=NAMESPACE) as (_, servers),
        PostgresStore.open(servers.database_url, NAMESPACE) as store,
    ):
        for length in lengths:
            for figure in await measure(store, length):
                print(f"{figure.subject:26} {figure.name:30} {figure.median:8.1f} {figure.unit}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    execute(main(parser.parse_args().lengths))
