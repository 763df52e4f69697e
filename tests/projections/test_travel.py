"""Time travel over recorded histories: at a version, at an instant, between two, and event by event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amends.domain.evolve import fold
from amends.domain.history import Recorded, read
from amends.projections.travel.facts import changes, facts
from amends.projections.travel.moments import BeforeTheStart, BeyondTheEnd, NoMoment, as_of, moment
from amends.projections.travel.replaying import replay
from tests.domain.driver import SECOND, T0, Play


def declined() -> Play:
    """Reserved at once, charged in vain after a second, and undone two seconds later."""
    play = Play()
    play.succeed("reserve")
    play.now += SECOND
    play.reject("charge")
    play.now += 2 * SECOND
    play.succeed("undo reserve")
    return play


def stored(play: Play) -> list[Recorded]:
    """The history as it is read back from its bytes."""
    return [read(r.originator_id, r.originator_version, r.topic, r.stored) for r in play.history]


def test_the_state_at_a_version_is_the_fold_up_to_it() -> None:
    history = stored(declined())
    for version in range(1, len(history) + 1):
        past = as_of(history, version)
        expected = fold((r.event for r in history[:version]), history[0].originator_id)
        assert (past.version, past.state) == (version, expected)


def test_the_latest_state_is_that_of_the_last_version() -> None:
    play = declined()
    assert as_of(stored(play)).state == play.state
    assert as_of(stored(play)).version == len(play.history)


@pytest.mark.parametrize(
    ("after", "status", "version"),
    [
        (timedelta(0), "running", 4),
        (0.9 * SECOND, "running", 4),
        (SECOND, "compensating", 8),
        (2.9 * SECOND, "compensating", 8),
        (3 * SECOND, "compensated", 10),
        (timedelta(days=3650), "compensated", 10),
    ],
)
def test_the_state_at_an_instant_has_all_that_happened_by_then(
    after: timedelta, status: str, version: int
) -> None:
    past = as_of(stored(declined()), T0 + after)
    assert (past.state.status, past.version) == (status, version)


@pytest.mark.parametrize("version", [0, 11, 10**30])
def test_a_version_beyond_the_end_is_refused(version: int) -> None:
    with pytest.raises(BeyondTheEnd, match=f"from 1 to 10, its latest; got {version}"):
        as_of(stored(declined()), version)


def test_an_instant_before_the_start_is_refused() -> None:
    with pytest.raises(BeforeTheStart, match=r"started at 2026-01-01T00:00:00\+00:00"):
        as_of(stored(declined()), T0 - timedelta(microseconds=1))


def test_a_moment_is_a_version_or_an_instant_which_is_utc_unless_it_says() -> None:
    assert moment("7") == 7
    assert moment("2026-11-20T12:00") == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert moment("2026-11-20T12:00+02:00") == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert moment("2026-11-20") == datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "-1", "1.5", "²", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(NoMoment, match="a version such as 7, or an instant such as"):
        moment(text)


def test_what_each_event_changed_adds_up_to_the_whole() -> None:
    play = declined()
    known: dict[str, object] = {}
    for played in replay(stored(play)):
        for change in played.changes:
            assert known.get(change.path) == change.before
            known[change.path] = change.after
    whole = {change.path: change.after for change in changes(None, play.state)}
    assert {path: value for path, value in known.items() if value is not None} == whole


def test_a_replay_tells_what_an_event_changed() -> None:
    told = {played.recorded.event.type: played for played in replay(stored(declined()))}
    assert [(c.path, c.before, c.after) for c in told["saga.compensating"].changes] == [
        ("status", "running", "compensating"),
        ("reason", None, "charge: rejected: no"),
    ]
    assert told["command.rejected"].as_json()["changed"] == [
        {"path": "steps.charge.forward.rounds.1.attempts.1.outcomes", "before": None, "after": ["rejected"]},
        {"path": "steps.charge.forward.rounds.1.answer", "before": None, "after": "rejected"},
        {"path": "steps.charge.forward.error", "before": None, "after": "no"},
    ]


def test_a_difference_backwards_is_the_difference_forwards_turned_round() -> None:
    history = stored(declined())
    there = changes(as_of(history, 5).state, as_of(history, 9).state)
    back = changes(as_of(history, 9).state, as_of(history, 5).state)
    assert sorted((c.path, str(c.before), str(c.after)) for c in there) == sorted(
        (c.path, str(c.after), str(c.before)) for c in back
    )
    assert changes(as_of(history, 5).state, as_of(history, 5).state) == []


def test_facts_leave_out_what_is_as_it_was_in_the_beginning() -> None:
    state = Play().state
    told = facts(state)
    assert told["status"] == "running"
    assert "suspended" not in told
    assert told["steps"]["reserve"]["forward"]["rounds"]["1"]["payload"] == {"order_id": "o1"}
    assert facts(replace(state, suspended="an outage"))["suspended"] == "an outage"


def test_facts_tell_what_was_seen_and_nothing_of_what_is_only_kept_beside_them() -> None:
    state = declined().state
    assert state.id_text == str(state.id)
    handled = state.handlers.handled.adding("m2").adding("m1")
    told = facts(replace(state, handlers=state.handlers.but(handled=handled)))
    assert told["handlers"] == {"handled": ["m1", "m2"]}
    assert not [name for name in told if name.startswith("_")]
