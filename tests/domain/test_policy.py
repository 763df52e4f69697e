"""Retry policies: backoff, cap, jitter."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends.domain.errors import DefinitionError
from amends.domain.policy import Retry
from tests.domain.driver import SECOND

MIDDLE = UUID(int=0x7FFF)  # draws next to no jitter


@pytest.mark.semantics("retries", "compensation-retries")
def test_the_delay_grows_up_to_its_cap_and_is_slow_after_the_quick_attempts() -> None:
    retry = Retry(attempts=6, delay=SECOND, factor=2, cap=SECOND * 6, slow=SECOND * 600)
    waits = [round(retry.wait(tries, MIDDLE) / SECOND) for tries in range(1, 8)]
    assert waits == [1, 2, 4, 6, 6, 600, 600]


@given(st.uuids(version=5))
@pytest.mark.semantics("retries", "clock")
def test_the_jitter_is_a_fifth_at_most_and_drawn_from_the_command_id(command_id: UUID) -> None:
    retry = Retry(delay=SECOND * 10)
    wait = retry.wait(1, command_id)
    assert SECOND * 8 <= wait <= SECOND * 12
    assert wait == retry.wait(1, command_id)


def test_the_jitter_differs_between_commands() -> None:
    waits = {Retry().wait(1, UUID(int=number)) for number in range(0, 65536, 1000)}
    assert len(waits) == 66


@pytest.mark.parametrize("factor", [1.0, 1.0001, 2.0, 1e6, 1e300])
def test_no_number_of_tries_overflows(factor: float) -> None:
    retry = Retry(attempts=10_000, delay=SECOND, factor=factor, cap=timedelta(days=365))
    assert timedelta(0) < retry.wait(9_999, MIDDLE) <= timedelta(days=365)
    assert Retry(attempts=10_000, delay=SECOND * 0, factor=factor).wait(9_999, MIDDLE) == timedelta(0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"attempts": 0}, "attempts of at least 1, got 0"),
        ({"factor": 0.5}, "factor of at least 1, got 0.5"),
        ({"factor": math.nan}, "factor of at least 1, got nan"),
        ({"factor": math.inf}, "factor of at least 1, got inf"),
        ({"delay": -SECOND}, "expected 0 <= delay <= cap"),
        ({"delay": SECOND * 5, "cap": SECOND}, "expected 0 <= delay <= cap"),
        ({"slow": SECOND * 0}, "slow > 0"),
        ({"slow": timedelta.max}, "of a century at most"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DefinitionError, match=text):
        Retry(**options)
