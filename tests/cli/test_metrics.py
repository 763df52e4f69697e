"""What Prometheus reads, as it reads it: over HTTP from the programs that run."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep

import pytest
from prometheus_client.parser import text_string_to_metric_families

from amends.infrastructure.postgres.gauges import ViewGauges
from tests.cli.conftest import WITHIN, Shell

Samples = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def address() -> str:
    """Where nobody listens yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def measured(bare: Shell, address: str) -> Iterator[Shell]:
    """A namespace of its own whose `amends up` answers there."""
    settings = bare.settings.model_copy(update={"namespace": f"t{token_hex(6)}"})
    shell = replace(bare, settings=settings)
    with shell.running("up", "errands", metrics=address):
        yield shell


def read(address: str) -> Samples:
    """Every sample: its name, the values of its labels in the order of their names, and what it says."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=WITHIN) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def until(address: str, *wanted: tuple[tuple[str, ...], float]) -> Samples:
    """What is read as soon as it has all of these."""
    give_up = monotonic() + WITHIN
    while not set(wanted) <= (found := read(address)).items():
        assert monotonic() < give_up, {name: value for name, value in found.items() if name[0] in str(wanted)}
        sleep(0.05)  # between two looks, until the deadline
    return found


def test_a_parked_step_shows_in_the_metrics(measured: Shell, address: str) -> None:
    measured.start("parked", "parked")
    found = until(
        address,
        (("amends_events_total", "command.parked", "errand"), 1),
        (("amends_unfinished_sagas", "parked step", "errand"), 1),
    )
    assert found["amends_unfinished_oldest_seconds", "parked step", "errand"] > 0
    assert found["amends_views_readable",] == 1


def test_a_parked_compensation_shows_in_the_metrics(measured: Shell, address: str) -> None:
    measured.start("not undone", "not undone")
    until(address, (("amends_unfinished_sagas", "parked compensation", "errand"), 1))


def test_a_saga_in_quarantine_shows_in_the_metrics(measured: Shell, address: str) -> None:
    measured.start("broken", "broken")
    until(
        address,
        (("amends_quarantined_total",), 1),
        (("amends_unfinished_sagas", "quarantined", "errand"), 1),
    )


def test_every_recorded_event_is_counted_once(measured: Shell, address: str) -> None:
    before = read(address)
    measured.start("counted", "fine", "--wait")
    after = read(address)

    def more(event: str) -> float:
        name = ("amends_events_total", event, "errand")
        return after.get(name, 0) - before.get(name, 0)

    recorded = ["saga.started", "step.skipped", "command.recorded", "command.succeeded", "saga.completed"]
    assert [more(event) for event in recorded] == [1, 1, 3, 3, 1]
    assert after["amends_commit_seconds_count",] > before["amends_commit_seconds_count",]


def test_the_page_lists_every_metric_and_no_other(measured: Shell, address: str) -> None:
    page = Path(__file__).parents[2].joinpath("docs/metrics.md").read_text(encoding="utf-8")
    told = {name.removesuffix("_count") for name, *_ in read(address) if name.startswith("amends_")}
    ours = {name for name in told if not name.endswith(("_bucket", "_sum", "_created"))}
    assert set(re.findall(r"^\| `(amends_\w+)`", page, re.MULTILINE)) == ours


def test_a_database_that_cannot_be_read_is_told_as_such() -> None:
    [told] = ViewGauges("postgresql://nobody@127.0.0.1:1/nowhere", "amends").collect()
    assert [(sample.name, sample.value) for sample in told.samples] == [("amends_views_readable", 0)]


def test_an_address_that_is_taken_is_refused(measured: Shell, address: str) -> None:
    refused = measured.amends("up", "errands", metrics=address)
    assert refused.status == 1
    assert f"expected to serve metrics at {address}" in refused.complaint
    assert "Set AMENDS_METRICS to an address that is free" in refused.complaint


@pytest.mark.parametrize("wrong", ["9464", "localhost", "localhost:", "localhost:port"])
def test_an_address_that_is_none_is_refused(bare: Shell, wrong: str) -> None:
    refused = bare.amends("show", "o-1", metrics=wrong)
    assert f"AMENDS_METRICS: expected host:port, such as 127.0.0.1:9464; came '{wrong}'" in refused.complaint
