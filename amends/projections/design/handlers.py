"""The event-handler style on paper: what happens, which handler is told, and what it may send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final, cast

from amends.domain.events import JsonObject
from amends.projections.design.conduct import Sent
from amends.projections.design.handler_failures import decisions
from amends.projections.design.handler_flow import Flow
from amends.projections.design.outline import Design, duration

HANDLERS_HEAD: Final = ("what happens", "handler", "its saga is found by", "if there is none")
DECISIONS_HEAD: Final = ("what happens", "handler", "what it does")
COMMANDS_HEAD: Final = (
    "command", "sent by", "service", "action", "compensating action", "timeout", "attempts", "answered by",
)  # fmt: skip
UNSEEN: Final = (
    "What each handler does stands in code and in histories; there is no history of this version here yet. "
    "Name the code, MODULE:NAME, to have it drawn."
)
MESSAGES_HEAD: Final = ("message", "subject", "answered by")


def handler_rows(design: Design) -> Iterator[Sequence[str]]:
    """A row for each handler, in the order in which they were declared."""
    found: dict[str, JsonObject] = {each["subject"]: each for each in design.shape.get("listens", ())}
    starts: dict[str, JsonObject] = {each["subject"]: each for each in design.shape.get("starts", ())}
    for handler in design.handlers:
        subject, name = str(handler.get("subject", "")), str(handler.get("name", ""))
        match handler.get("kind"):
            case "start":
                yield subject, name, " + ".join(starts[subject]["key"]), "it starts"
            case "rejected":
                yield f"{subject} is rejected", name, "its command", "–"
            case "timeout":
                yield f"the timeout {handler['timeout']!r}", name, "–", "–"
            case _:
                listened = found.get(subject)
                yield subject, name, *(_search(listened) if listened else ("as the start", "it starts"))


def decision_rows(design: Design) -> Iterator[Sequence[str]]:
    """What each handler was seen to do."""
    flow = Flow(design)
    for handler in flow.handlers:
        done = "; ".join(decisions(flow.deeds(handler)))
        yield handler.called, handler.name, done or "notes it in its state"


def command_rows(design: Design) -> Iterator[Sequence[str]]:
    """A row for each command that handlers were seen to send, with what undoes it."""
    flow = Flow(design)
    for sent in flow.conduct.sends:
        yield (
            f"{sent.name}{' (pivot)' if sent.pivot else ''}",
            ", ".join(handler.name for handler in flow.senders(sent)),
            sent.subject.partition(".")[0],
            sent.subject,
            sent.undo or _never_undone(flow, sent),
            duration(sent.timeout),
            str(sent.attempts),
            flow.answer(sent),
        )


def conduct_facts(design: Design) -> Iterator[JsonObject]:
    """The same as data."""
    flow = Flow(design)
    for handler in flow.handlers:
        deeds = flow.deeds(handler)
        kind, what = handler.trigger
        yield {
            "handler": handler.name,
            "kind": kind,
            "on": what,
            "sends": [asdict(sent) for sent in deeds.sends],
            "publishes": list(deeds.publishes),
            "timeouts": deeds.timeouts,
            "turns_back": list(deeds.turns_back),
            "completes": deeds.completes,
        }


def message_rows(design: Design) -> Iterator[Sequence[str]]:
    """A row for each message that handlers may send or publish."""
    for command in cast("list[JsonObject]", design.shape.get("sends") or ()):
        yield f"sends {command['type']}", command["subject"], command["reply"] or f"{command['subject']}.done"
    for event in cast("list[JsonObject]", design.shape.get("publishes") or ()):
        yield f"publishes {event['event']}", event["subject"], "–"


def _never_undone(flow: Flow, sent: Sent) -> str:
    if sent.pivot:
        return "never: it is closed instead"
    return "never: only forward" if flow.after_pivot(sent) else "none needed"


def _search(listened: JsonObject) -> tuple[str, str]:
    """How an event finds its saga, and what becomes of one that finds none."""
    field = " + ".join(listened["key"])
    known_as = f" (as {listened['known_as']})" if listened["known_as"] else ""
    place = field or (
        f"the header {listened['header']}" if listened["header"] else "its command, or Amends-Key"
    )
    missing = {
        "park": f"kept for {duration(listened['patience'])}, then a dead letter",
        "ignore": "ignored, and recorded",
        "dead": "a dead letter",
    }
    return place + known_as, missing[listened["missing"]]
