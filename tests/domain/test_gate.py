"""The gate of a participant: how many held commands may leave, and when again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from amends.domain.errors import DefinitionError
from amends.domain.gate import Ended, Gate, Out
from amends.domain.limits import Breaker, Limit, one_for_each

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BREAKER = Breaker(failure_rate=0.5, outcomes=4, pause=SECOND * 30, probes=2)
LIMIT = Limit("inventory", breaker=BREAKER)
NOTHING = Out()


def ended(pattern: str, at: datetime = NOW) -> list[Ended]:
    return [Ended(at, failed=mark == "x") for mark in pattern]


def test_without_limits_any_number_may_leave() -> None:
    assert Gate().room(Limit("inventory"), Out(1000), NOW) is None


def test_outstanding_bounds_what_waits_for_its_answer() -> None:
    limit = Limit("inventory", outstanding=3)
    assert [Gate().room(limit, Out(count), NOW) for count in (0, 2, 3, 4)] == [3, 1, 0, 0]


def test_per_second_bounds_what_leaves_within_any_second() -> None:
    limit = Limit("inventory", per_second=10)
    gate = Gate().released(6, NOW).released(4, NOW + SECOND / 2)
    assert gate.room(limit, NOTHING, NOW + SECOND / 2) == 0
    assert gate.again(limit, NOW + SECOND / 2) == NOW + SECOND
    assert gate.room(limit, NOTHING, NOW + SECOND) == 6
    assert gate.again(limit, NOW + SECOND) == NOW + SECOND * 1.5
    assert gate.room(limit, NOTHING, NOW + SECOND * 2) == 10
    assert gate.again(limit, NOW + SECOND * 2) is None


def test_the_breaker_opens_on_a_rate_of_technical_failures_and_timeouts() -> None:
    gate = Gate().heard(BREAKER, ended("..x"), NOW)
    assert gate.state == "closed"
    gate = gate.heard(BREAKER, ended("x"), NOW)
    assert (gate.state, gate.room(LIMIT, NOTHING, NOW)) == ("open", 0)
    assert gate.again(LIMIT, NOW) == NOW + BREAKER.pause


def test_the_breaker_counts_the_latest_outcomes_only() -> None:
    gate = Gate().heard(BREAKER, ended("x..."), NOW).heard(BREAKER, ended("x"), NOW)
    assert gate.state == "closed"


def test_an_open_breaker_lets_probes_through_after_its_pause() -> None:
    gate = Gate().heard(BREAKER, ended("xxxx"), NOW)
    assert gate.heard(BREAKER, (), NOW + SECOND * 29).state == "open"
    later = NOW + BREAKER.pause
    gate = gate.heard(BREAKER, (), later)
    assert gate.state == "half-open"
    assert [gate.room(LIMIT, Out(5, probes), later) for probes in (0, 1, 2)] == [2, 1, 0]


def test_the_breaker_closes_when_all_probes_are_answered() -> None:
    later = NOW + BREAKER.pause
    gate = Gate().heard(BREAKER, ended("xxxx"), NOW).heard(BREAKER, (), later)
    gate = gate.heard(BREAKER, ended(".", later), later)
    assert (gate.state, gate.room(LIMIT, NOTHING, later)) == ("half-open", 1)
    gate = gate.heard(BREAKER, ended(".", later), later)
    assert (gate.state, gate.room(LIMIT, NOTHING, later)) == ("closed", None)


def test_the_breaker_opens_again_at_the_first_probe_that_fails() -> None:
    later = NOW + BREAKER.pause
    gate = Gate().heard(BREAKER, ended("xxxx"), NOW).heard(BREAKER, (), later)
    gate = gate.heard(BREAKER, ended("x", later), later)
    assert (gate.state, gate.since) == ("open", later)


def test_what_left_before_the_breaker_changed_says_nothing_of_now() -> None:
    later = NOW + BREAKER.pause
    gate = Gate().heard(BREAKER, ended("xxxx"), NOW)
    assert gate.heard(BREAKER, ended("....", NOW - SECOND), NOW).state == "open"
    half_open = gate.heard(BREAKER, (), later)
    assert half_open.heard(BREAKER, ended("xx..", NOW), later) == half_open


def test_without_a_breaker_nothing_opens() -> None:
    gate = Gate().heard(BREAKER, ended("xxxx"), NOW).heard(None, (), NOW)
    assert gate.state == "closed"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"participant": "in ventory"}, "name of a participant"),
        ({"outstanding": 0}, "outstanding of at least 1, got 0"),
        ({"per_second": 0}, "per_second of at least 1, got 0"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(values: dict[str, object], expected: str) -> None:
    with pytest.raises(DefinitionError, match=expected):
        Limit(**{"participant": "inventory", **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"failure_rate": 0}, "failure_rate above 0"),
        ({"outcomes": 0}, "outcomes and probes"),
        ({"probes": 0}, "outcomes and probes"),
        ({"pause": timedelta(0)}, "pause above 0"),
    ],
)
def test_a_breaker_that_makes_no_sense_is_refused(values: dict[str, object], expected: str) -> None:
    with pytest.raises(DefinitionError, match=expected):
        Breaker(**values)  # type: ignore[arg-type]


def test_a_participant_with_two_limits_is_refused() -> None:
    assert one_for_each([LIMIT, LIMIT]) == [LIMIT]
    with pytest.raises(DefinitionError, match="got two for 'inventory'"):
        one_for_each([LIMIT, Limit("inventory", outstanding=1)])
