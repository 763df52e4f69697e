from __future__ import annotations

import pytest

from amends.infrastructure.subjects import covers, minimal


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a.*", True),
        ("a.*", "a.b.c", False),
        ("a.b", "a.*", False),
        ("a.*", "a.>", False),
        ("a.>", "a.*", True),
        ("a.>", "a.b.>", True),
        ("a.>", "a", False),
        (">", "a.b.c", True),
        ("a.b.c", "a.b", False),
        ("*.b", "a.b", True),
    ],
)
def test_which_filter_covers_what(pattern: str, subject: str, expected: bool) -> None:
    assert covers(pattern, subject) is expected


def test_no_filter_stays_that_another_one_covers() -> None:
    assert minimal(["b.c", "a.b", "a.*", "a.b", "a.c.d"]) == ("a.*", "a.c.d", "b.c")
    assert minimal(["a.>", "a.b.>", "a.*"]) == ("a.>",)
