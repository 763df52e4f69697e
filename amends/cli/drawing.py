"""Tables for the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from amends.domain.state import Status
from amends.infrastructure.ports import SagaRow, Unclaimed
from amends.projections.times import utc

_WORD: Final = 16
"""A cause that is no longer is told whole."""

_DOING: Final = {
    "forward": "do {step}",
    "compensate": "undo {step}",
    "close": "say whether {step} happened",
}


def history_table(row: SagaRow, told: list[dict[str, Any]]) -> Table:
    """A saga's history, one line an event; day, time, cause and recorder are told where they change."""
    recorders = {event["by"] for event in told}
    by = f", recorded by {recorders.pop()}" if len(recorders) == 1 else ""
    table = Table(
        title=Text(f"{row.saga} {row.key}: {row.status}{by}"),
        title_justify="left",
        box=None,
        caption_justify="left",
    )
    for name in ("", "time (UTC)", "what happened", *["by"] * bool(recorders), "cause"):
        table.add_column(name)
    table.caption = (
        "Where time or cause is blank, it is that of the line above. A cause is the message that led to an event, "
        "told by the beginning of its id; --json has it all."
    )
    before = {"at": "", "cause": ""}
    for event in told:
        same = (event["at"], event["cause"]) == (before["at"], before["cause"])
        cells = [str(event["version"]), _when(event["at"], before["at"]), event["sentence"]]
        cells += [event["by"]] * bool(recorders)
        cells.append("" if same else _short(event["cause"]))
        table.add_row(*map(Text, cells))  # as Text, for text from outside may look like markup
        before = event
    return table


def _when(at: str, before: str) -> str:
    """The time, under its day where that is another one than before; nothing where nothing has changed."""
    if at == before:
        return ""
    moment = datetime.fromisoformat(at)
    time = moment.isoformat(timespec="milliseconds")[11:23]
    return time if before[:10] == at[:10] else f"{moment:%Y-%m-%d}\n{time}"


def _short(cause: str) -> str:
    """Ids are cut; a word such as `timer` is not."""
    return cause[:8] if len(cause) > _WORD else cause


def unclaimed_table(found: Sequence[Unclaimed]) -> Table:
    """Events that found no saga."""
    table = Table("when", "event", "saga type", "key", "became", "message", box=None)
    for each in found:
        when = _moment(each.at.isoformat()) if each.at else ""
        table.add_row(when, each.subject, each.saga, each.key, each.became, each.message_id)
    return table


def standing_table(facts: dict[str, Any]) -> Group:
    """Where a saga stands: what is known of it, what it waits for, and each step."""
    lines = Table.grid(padding=(0, 2))
    lines.add_column(justify="right")
    lines.add_column(overflow="fold")
    for name, value in _facts(facts):
        lines.add_row(name, Text(value) if isinstance(value, str) else value)
    steps = Table("step", "where it stands", box=None)
    for name, where in facts["steps"].items():
        steps.add_row(Text(name), Text(where))
    return Group(lines, "", steps)


def _facts(facts: dict[str, Any]) -> Iterator[tuple[str, str | Text]]:
    for name in ("id", "saga", "key", "status"):
        yield name, facts[name]
    if facts["quarantine"]:
        yield from _quarantine(facts["quarantine"])
    if facts["version_missing"]:
        yield "stands still", Text(f"no running worker holds {facts['saga']}: amends worker MODULE", "red")
    if "started" in facts:
        yield from _progress(facts)


def _quarantine(quarantine: dict[str, Any]) -> Iterator[tuple[str, str | Text]]:
    yield "in quarantine", Text(quarantine["error"], "red")
    yield "", f"since {_moment(quarantine['since'])}, after event {quarantine['after_event']}"
    yield "", f"{quarantine['held']} messages are held for it; `amends release` tries them again"


def _progress(facts: dict[str, Any]) -> Iterator[tuple[str, str | Text]]:
    if facts["reason"]:
        yield "because of", facts["reason"]
    if facts["status"] == Status.FAILED:
        yield "", "an operator abandoned it: `amends history` says who, why, and what was left"
    if facts["suspended"]:
        yield "suspended", Text(facts["suspended"], "bold")
    yield "started", _moment(facts["started"])
    yield "last event", f"{_moment(facts['updated'])}, number {facts['version']}"
    if facts["deadline"] and facts["status"] == Status.RUNNING:  # it means nothing to one that turned back
        yield "deadline", _moment(facts["deadline"]) + (", which passed" if facts["deadline_passed"] else "")
    for wait in facts["waits"]:
        yield "waits for", _waits_for(wait)
        if wait["last_error"]:
            yield "last error", wait["last_error"]
        if wait["parked"]:
            yield "", Text(f"a person should look at it; {_meanwhile(wait)}", "red")
    yield from _handlers(facts)
    if facts["contradictions"]:
        yield "", Text("a service contradicted itself, see the history; a person should look at it", "red")


def _handlers(facts: dict[str, Any]) -> Iterator[tuple[str, str | Text]]:
    """What is known of a process manager beside its steps."""
    for name, due in facts.get("timeouts", {}).items():
        yield "waits for", f"the timeout {name!r}, {_moment(due)}"
    if facts.get("state"):
        yield "state", json.dumps(facts["state"], ensure_ascii=False)
    for key in facts.get("known_as", ()):
        yield "known as", key
    for key in facts.get("clashes", ()):
        yield "", Text(f"another saga has {key}; a person should look at it", "red")


def _waits_for(wait: dict[str, Any]) -> str:
    doing = _DOING[wait["direction"]].format(step=wait["step"])
    if _is_for_event(wait):
        return f"{wait['for']} (step {wait['step']}): since {_moment(wait['since'])}, {_until(wait)}"
    if wait["for"] == "the limits of its service":
        return f"the limits of its service, to {doing}: since {_moment(wait['since'])}; see `amends limits`"
    if "since" in wait:
        service = wait["subject"].partition(".")[0]
        asked = f"{service} to {doing} (attempt {wait['attempts']}): asked {_moment(wait['since'])}"
        return f"{asked}, awaited {_until(wait)}"
    if wait["for"] == "a decision":
        return f"an operator to resume it: what follows from the answer to {doing} is decided then"
    if wait["timer_cancelled"]:
        return f"a person to retry: the next attempt to {doing} was called off ({wait['timer_cancelled']})"
    after = f"after {wait['attempts']} in vain" if wait["attempts"] else "anew after a rejection"
    return f"the next attempt to {doing}: at {_moment(wait['until'])}, {after}"


def _is_for_event(wait: dict[str, Any]) -> bool:
    """Nobody was asked for anything."""
    return "subject" not in wait


def _until(wait: dict[str, Any]) -> str:
    if wait["until"]:
        return f"until {_moment(wait['until'])} at the latest"
    why = wait.get("timer_cancelled")
    return f"without a limit ({why})" if why else "without a limit"


def _meanwhile(wait: dict[str, Any]) -> str:
    if _is_for_event(wait):
        return "it waits on"
    return "until then nothing is sent" if wait["timer_cancelled"] else "it is tried again, slowly"


def _moment(iso: str) -> str:
    return utc(datetime.fromisoformat(iso))
