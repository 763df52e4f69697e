"""Ids that were seen, as immutable sets that share them."""

from __future__ import annotations

from amends.domain.seen import Seen


def test_adding_leaves_the_set_before_it_as_it_was() -> None:
    none = Seen()
    one = none.adding("a")
    two = one.adding("b")
    assert (set(none), set(one), set(two)) == (set(), {"a"}, {"a", "b"})
    assert ("b" in one, "b" in two) == (False, True)
    assert (len(none), len(one), len(two)) == (0, 1, 2)


def test_two_that_grow_out_of_one_know_nothing_of_each_other() -> None:
    """As where a decision that was lost to another worker is made again."""
    one = Seen().adding("a")
    left, right = one.adding("b"), one.adding("c")
    assert (set(left), set(right), set(one)) == ({"a", "b"}, {"a", "c"}, {"a"})
    assert set(right.adding("b")) == {"a", "b", "c"}
    assert set(left.adding("d")) == {"a", "b", "d"}


def test_what_was_seen_is_not_added_twice() -> None:
    one = Seen().adding("a")
    assert one.adding("a") is one


def test_equal_to_another_of_the_same_ids() -> None:
    assert Seen().adding("a").adding("b") == Seen().adding("b").adding("a")
    assert Seen().adding("a") != Seen().adding("b")
