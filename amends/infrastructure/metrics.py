"""What a process counts while it runs, and where Prometheus reads it.

The counters are in the client library's default registry: a program that has an endpoint of its own shows them there.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import REGISTRY, Counter, Histogram, start_http_server
from prometheus_client.registry import Collector

from amends.infrastructure.errors import MetricsUnavailable

EVENTS: Final = Counter(
    "amends_events",
    "Events recorded in histories: saga.started, command.parked, saga.compensated and all others.",
    ["saga", "event"],
)
QUARANTINED: Final = Counter("amends_quarantined", "Sagas that could not be decided.")
DEAD_LETTERS: Final = Counter("amends_dead_letters", "Messages that could not be handled.")
CONFLICTS: Final = Counter("amends_conflicts", "Sagas decided again, as another worker was quicker.")
COMMITS: Final = Histogram("amends_commit_seconds", "Seconds that the commit of a batch took.")


def count(events: Iterable[tuple[str, str]], *, quarantined: int, dead_letters: int, conflicts: int) -> None:
    """What a commit brought: events as pairs of saga type and event type."""
    for (saga, event), many in Tally(events).items():
        EVENTS.labels(saga, event).inc(many)
    QUARANTINED.inc(quarantined)
    DEAD_LETTERS.inc(dead_letters)
    CONFLICTS.inc(conflicts)


@contextmanager
def collecting(collector: Collector) -> Iterator[None]:
    """Have the collector asked whenever somebody reads the metrics, while the body runs."""
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)


@contextmanager
def serving(address: str) -> Iterator[None]:
    """Answer `GET /metrics` at `host:port` beside the body; an empty address: do not. Raises `MetricsUnavailable`."""
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"))
    except (OSError, OverflowError) as error:
        raise MetricsUnavailable(
            f"expected to serve metrics at {address}; {error}. Set AMENDS_METRICS to an address that is free, "
            "another for each process"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
