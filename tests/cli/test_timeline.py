"""`amends timeline`: five sagas that failed in different ways, compared with pages that were read by eye."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from amends.cli.timeline import drawn
from amends.domain import events as e
from amends.domain.inputs import Abandon
from amends.domain.wire import Outcome
from amends.projections.timeline.axis import LABEL_LINES, labels
from amends.projections.timeline.reading import DRAW, chart
from amends.projections.timeline.scale import elapsed, positions
from amends.projections.timeline.svg import svg
from amends.projections.timeline.terminal import WORDS
from tests.cli.conftest import Shell
from tests.domain.driver import SECOND, T0, Play
from tests.domain.fulfilment import Fulfilment, Ordered
from tests.domain.manager_play import Told
from tests.domain.test_waits import YES, Booking

PAGES = Path(__file__).with_name("timelines")
HISTORY = Path(__file__).parents[2] / "docs" / "history.md"
MS = timedelta(milliseconds=1)
SVG = "{http://www.w3.org/2000/svg}"


def declined() -> Play:
    play = Play()
    play.now += 12 * MS
    play.succeed("reserve")
    play.now += 340 * MS
    play.reject("charge", reason="card declined")
    play.now += 9 * MS
    play.succeed("undo reserve")
    return play


def timed_out() -> Play:
    play = Play()
    play.now += 12 * MS
    play.succeed("reserve")
    play.time_out("charge")
    play.now += 20 * MS
    play.succeed("undo charge")
    play.now += 9 * MS
    play.succeed("undo reserve")
    return play


def parked() -> Play:
    """Refused after the pivot, again and again."""
    play = Play()
    play.succeed("reserve", "charge", "ship")
    for _ in range(3):
        play.now += 250 * MS
        play.reject("notify", reason="unknown address")
        if not play.state.step("notify").forward.parked:
            play.tick()
    play.now += 40 * SECOND
    return play


def cancelled() -> Play:
    play = Play()
    play.now += 12 * MS
    play.succeed("reserve")
    play.now += SECOND
    play.fail("charge", reason="the bank is shut")
    play.now += 500 * MS
    play.cancel()
    play.now += SECOND
    play.succeed("undo charge", "undo reserve")
    return play


def contradicted() -> Play:
    play = Play()
    play.now += 12 * MS
    play.succeed("reserve")
    play.now += SECOND
    play.reject("charge", reason="card declined")
    play.now += 20 * MS
    play.succeed("undo reserve")
    play.now += timedelta(hours=2)
    play.answer("charge", Outcome.SUCCEEDED)
    play.now += 3 * SECOND
    return play


FAILED = [declined, timed_out, parked, cancelled, contradicted]


def page(play: Play) -> str:
    """The picture without colours and blanks at the ends of lines."""
    paper = StringIO()
    Console(file=paper, width=100, no_color=True).print(drawn(chart(play.history, play.now), 100))
    return "".join(f"{line.rstrip()}\n" for line in paper.getvalue().splitlines())


@pytest.mark.parametrize("saga", FAILED)
def test_a_failed_saga_is_drawn_as_on_its_page(saga: Callable[[], Play]) -> None:
    assert page(saga()) == (PAGES / f"{saga.__name__}.txt").read_text(encoding="utf-8")


def test_the_drawing_in_the_docs_is_one_of_these_pages() -> None:
    assert (PAGES / "timed_out.txt").read_text(encoding="utf-8") in HISTORY.read_text(encoding="utf-8")


@pytest.mark.parametrize("saga", FAILED)
def test_the_svg_has_every_bar_and_mark_with_its_time(saga: Callable[[], Play]) -> None:
    play = saga()
    made = chart(play.history, play.now)
    drawing = ET.fromstring(svg(made))
    bars = [line for line in drawing.iter(f"{SVG}line") if line.find(f"{SVG}title") is not None]
    assert len(bars) == sum(len(lane.bars) for lane in made.all)
    texts = {text.text for text in drawing.iter(f"{SVG}text")}
    assert {lane.name for lane in made.all} <= texts
    notes = " ".join(text.text or "" for text in drawing.iter(f"{SVG}text") if text.get("class") == "note")
    assert all(lane.words in notes for lane in made.all)
    width = float(drawing.get("width", 0))
    ends = [float(bar.get("x2", 0)) for bar in bars]
    assert all(float(bar.get("x1", 0)) < end <= width for bar, end in zip(bars, ends, strict=True))
    titles = [title.text or "" for title in drawing.iter(f"{SVG}title")]
    assert any(f"{made.begin:%Y-%m-%d %H:%M:%S}.000 UTC" in title for title in titles)


@pytest.mark.parametrize("saga", FAILED)
def test_the_svg_says_what_its_lines_and_signs_mean_and_nothing_is_cut_off(saga: Callable[[], Play]) -> None:
    play = saga()
    made = chart(play.history, play.now)
    drawing = ET.fromstring(svg(made))
    texts = [text for text in drawing.iter(f"{SVG}text") if text.get("text-anchor") is None]
    told = {text.text for text in texts}
    bars = [bar for lane in made.all for bar in lane.bars]
    signs = {bar.sign for bar in bars if bar.sign} | {mark.sign for lane in made.all for mark in lane.marks}
    assert {WORDS[bar.kind] for bar in bars} | signs <= told
    width, height = float(drawing.get("width", 0)), float(drawing.get("height", 0))
    for text in texts:
        small = text.get("class") in ("note", "time")
        assert float(text.get("x", 0)) + len(text.text or "") * (6.6 if small else 7.6) <= width
        assert float(text.get("y", 0)) < height


@pytest.mark.parametrize("saga", FAILED)
def test_every_time_is_told_though_they_are_close_together(saga: Callable[[], Play]) -> None:
    play = saga()
    made = chart(play.history, play.now)
    texts = {f"+{elapsed(each - made.begin)}" for each in made.instants if each not in (made.begin, made.now)}
    told = list(labels(made, positions(made.instants, 50), 54))
    assert {label.text for label in told} - {"0"} >= texts
    for line in range(LABEL_LINES):
        spans = sorted((label.begin, label.begin + len(label.text)) for label in told if label.line == line)
        assert all(end < begin for (_, end), (begin, _) in pairwise(spans))
        assert all(end <= 54 for _, end in spans)


def test_markup_in_a_key_does_no_harm() -> None:
    play = Play(order_id="o1")
    made = chart(play.history)
    made.title = 'order <script>"&amp;'
    assert ET.fromstring(svg(made)).get("aria-label") == made.title


def test_a_suspended_saga_and_what_operators_did() -> None:
    play = Play()
    play.now += SECOND
    play.suspend(reason="an outage")
    play.now += SECOND
    play.resume(reason="it is over")
    saga = chart(play.history).saga
    [bar] = saga.bars
    assert (bar.kind, bar.begin, bar.end) == ("suspended", T0 + SECOND, T0 + 2 * SECOND)
    assert saga.words == "suspended by ops: an outage; resumed by ops: it is over"


def test_the_timeouts_of_handlers_are_waits() -> None:
    told = Told(Fulfilment, Ordered(order_id="o1"))
    lanes = {lane.name: lane for lane in chart(told.history).all}
    [name] = [name for name in lanes if name.startswith("timeout ")]
    [bar] = lanes[name].bars
    assert (bar.kind, bar.begin, bar.end) == ("wait", T0, None)


def test_a_wait_is_drawn_until_its_event_comes() -> None:
    play = Play(Booking)
    play.succeed("reserve")
    play.now += SECOND
    play.arrive(YES)
    lane = chart(play.history).lane("answer")
    [bar] = lane.bars
    assert (bar.kind, bar.begin, bar.end, bar.sign) == ("wait", T0, T0 + SECOND, "succeeded")
    assert lane.words == "waited for hosts.answered or hosts.declined; it came"


def test_every_event_that_a_saga_can_end_or_stand_still_by_is_drawn() -> None:
    silent = {
        e.EventReceived, e.EventHandled, e.EventPassedOver, e.EventPublished, e.EventTakenForAnswer, e.SendRequested,
        e.CompletionRequested, e.KeyLearnt,
    }  # fmt: skip
    assert set(e.EVENT_TYPES.values()) - set(DRAW) == silent


def test_what_is_not_over_goes_on() -> None:
    made = chart(Play().history)
    [bar] = made.lane("reserve").bars
    assert (bar.end, made.over) == (None, False)


def test_what_is_not_over_is_drawn_until_now_and_says_how_long_it_has_been() -> None:
    play = Play()
    play.succeed("reserve")
    play.fail("charge")
    play.suspend()
    play.now += timedelta(hours=2)
    made = chart(play.history, play.now)
    assert (made.end, made.now) == (play.now, play.now)
    assert made.lane("charge").notes[-1] == "next attempt awaited for 2 h"
    assert made.saga.notes[-1] == "2 h so far"
    assert page(play).splitlines()[3].endswith("now +2 h")
    assert made.as_json()["now"] == play.now.isoformat()
    texts = [text.text for text in ET.fromstring(svg(made)).iter(f"{SVG}text")]
    assert "now +2 h" in texts
    assert any("next attempt awaited for 2 h" in (text or "") for text in texts)


def test_a_command_that_limits_hold_says_how_long_it_has_been_held() -> None:
    play = Play(limited=("inventory",))
    play.now += 60 * SECOND
    lane = chart(play.history, play.now).lane("reserve")
    assert lane.words == "held by limits for 1 min"
    assert "held by limits for 1 min" in page(play)
    play.admit("reserve")
    play.succeed("reserve")
    assert chart(play.history, play.now).lane("reserve").words == "succeeded"


def test_what_an_abandoned_saga_leaves_is_said_where_it_was_done() -> None:
    play = Play()
    play.succeed("reserve")
    play.give(Abandon("abandon-1", "hopeless", by="anna"))
    made = chart(play.history)
    assert made.saga.words == "abandoned by anna: hopeless"
    assert made.lane("reserve").words == "succeeded; not undone"
    assert made.lane("charge").words == "nobody knows whether it happened"


def test_what_is_over_ends_with_its_last_event() -> None:
    play = declined()
    made = chart(play.history, play.now + timedelta(days=1))
    assert (made.end, made.now) == (play.events[-1].at, None)


def test_a_gap_is_as_wide_as_the_logarithm_of_its_time() -> None:
    second, day = T0 + SECOND, T0 + timedelta(days=1)
    found = positions([T0, second, day], 100.0)
    assert found[T0] == 0.0
    assert found[day] == pytest.approx(100.0)
    assert 25 < found[second] < 45
    assert positions([T0], 100.0) == {T0: 0.0}


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (timedelta(0), "0"),
        (12 * MS, "12 ms"),
        (1500 * MS, "1.5 s"),
        (timedelta(seconds=90), "1 min 30 s"),
        (timedelta(days=2, hours=3, minutes=4), "2 d 3 h"),
    ],
)
def test_a_time_is_told_in_two_units_at_most(time: timedelta, told: str) -> None:
    assert elapsed(time) == told


def test_the_command_draws_writes_and_tells(shell: Shell, tmp_path: Path) -> None:
    shell.start("pictured", "refused", "--wait")
    said = shell.amends("timeline", "pictured")
    assert said.out.startswith("errand pictured (errand@1): compensated\n")
    assert "turned back: deliver: rejected: nobody opened the door" in said.words
    file = tmp_path / "picture.svg"
    assert shell.amends("timeline", "pictured", "--svg", str(file)).status == 0
    assert ET.parse(file).getroot().tag == f"{SVG}svg"
    told = shell.amends("timeline", "pictured", "--json").json
    assert [lane["name"] for lane in told["lanes"]] == ["saga", "find", "fetch", "deliver", "undo fetch"]
    refused = shell.amends("timeline", "pictured", "--svg", str(tmp_path / "no" / "folder.svg"))
    assert (refused.status, refused.out) == (1, "")
    assert "expected --svg to name a file that can be written" in refused.complaint
