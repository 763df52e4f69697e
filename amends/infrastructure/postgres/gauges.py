"""What the views tell, as gauges for Prometheus: asked whenever somebody reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from amends.infrastructure.postgres.copies import views
from amends.infrastructure.postgres.datastore import with_defaults
from amends.infrastructure.postgres.queries import fill
from amends.infrastructure.postgres.views import QUERIES


class ViewGauges(Collector):
    """Sagas that have not ended, by the reason why, and how far behind the views are.

    It is asked in a thread of the metrics' own, so it has a connection of its own each time.
    """

    def __init__(self, database_url: str, namespace: str) -> None:
        self._conninfo = with_defaults(database_url)
        self._unfinished = fill(QUERIES, "count_unfinished", views=views(namespace))
        self._behind = fill(QUERIES, "count_behind", views=views(namespace))

    def describe(self) -> Sequence[GaugeMetricFamily]:
        """The names, for who registers this; no database is asked for them."""
        return self._families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; of a database that cannot be read only that it cannot."""
        readable, unfinished, oldest, behind = self._families()
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                for saga, reason, many, seconds in connection.execute(self._unfinished):
                    unfinished.add_metric([saga, reason], many)
                    oldest.add_metric([saga, reason], seconds)
                for projection, events in connection.execute(self._behind):
                    behind.add_metric([projection], events)
        except psycopg.Error:
            readable.add_metric([], 0)
            yield readable
            return
        readable.add_metric([], 1)
        yield from (readable, unfinished, oldest, behind)

    def _families(self) -> tuple[GaugeMetricFamily, ...]:
        why = ["saga", "reason"]
        return (
            GaugeMetricFamily("amends_views_readable", "1: the gauges of the views could be read."),
            GaugeMetricFamily(
                "amends_unfinished_sagas", "Sagas that have not ended, by the reason why.", labels=why
            ),
            GaugeMetricFamily(
                "amends_unfinished_oldest_seconds",
                "For how long the oldest of them has stood so.",
                labels=why,
            ),
            GaugeMetricFamily(
                "amends_projection_behind_events",
                "Events that a projection does not show yet.",
                labels=["projection"],
            ),
        )
