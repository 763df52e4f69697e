"""What is asked of a service for one step in one direction, as far as views need it: the latest round and attempt.

These are plain JSON objects, kept with a saga's row from batch to batch; a key that is missing is false, empty or 0.
"""

from __future__ import annotations

from amends.domain.events import JsonObject
from amends.domain.wire import Direction, Outcome

FORWARD, COMPENSATE, CLOSE = (str(each) for each in Direction)
SUCCEEDED, REJECTED = str(Outcome.SUCCEEDED), str(Outcome.REJECTED)

_TIMER = ("moved", "stopped")
_IDLE = {"retry", "answered", "held"}


def record(line: JsonObject, event: JsonObject) -> None:
    """Another attempt leaves, and with a payload another round."""
    if event.get("payload") is None:
        line["attempt"] += 1
    else:
        line["round"] = line.get("round", 0) + 1
        line["attempt"] = 1
        line["subject"] = event["subject"]
        line.pop("answer", None)
    line["sent"] = line.get("sent", 0) + 1
    line["since"], line["expires"] = event["at"], event["expires"]
    forget(line, "retry", "answered", *_TIMER)
    if event.get("held"):
        line["held"] = True
        if event.get("payload") is not None:
            line["unsent"] = True
    else:
        forget(line, "held", "unsent")


def release(line: JsonObject, event: JsonObject) -> None:
    """The latest attempt, which was held, leaves."""
    line["since"], line["expires"] = event["at"], event["expires"]
    forget(line, "held", "unsent")


def withdraw(line: JsonObject) -> None:
    """The latest attempt, which was held, never leaves."""
    forget(line, "held")
    line["answered"] = True


def answer(line: JsonObject, event: JsonObject, outcome: str, *, decides: bool = True) -> None:
    """An answer came, or none in time. Only those to the latest round, and for some facts the latest attempt, count."""
    if event.get("round", 1) != line["round"]:
        return
    if event.get("attempt", 1) == line["attempt"]:
        line["answered"] = True
        line["since"] = event["at"]
    if decides and outcome in (SUCCEEDED, REJECTED) and "answer" not in line:
        line["answer"] = outcome


def close(line: JsonObject, outcome: str) -> None:
    """The open round is answered by other means than a reply to it."""
    if is_open(line):
        line["answer"] = outcome
        forget(line, "retry", "parked", "parked_since")


def schedule(line: JsonObject, due: str, at: str) -> None:
    """It will be asked again."""
    line["retry"], line["since"] = due, at
    forget(line, *_TIMER)


def forget(fields: JsonObject, *names: str) -> None:
    """Back to what they are when nothing is known."""
    for name in names:
        fields.pop(name, None)


def is_open(line: JsonObject) -> bool:
    """The latest round has no definite answer yet."""
    return "round" in line and "answer" not in line


def in_flight(line: JsonObject) -> bool:
    """An answer is awaited."""
    return is_open(line) and not line.keys() & _IDLE


def due(line: JsonObject) -> str | None:
    """When it must be looked at again, whatever comes."""
    due: str | None = line["expires"] if in_flight(line) else line.get("retry")
    return None if "stopped" in line else line.get("moved") or due


def attempts(line: JsonObject) -> int:
    """Since it was asked for, or is asked anew."""
    return int(line.get("sent", 0)) - int(line.get("before", 0))


def decided(step: JsonObject) -> bool:
    """No answer can change which way the saga goes from this step."""
    return "succeeded" in step or "skipped" in step or bool(step.get("given_up"))


def waiting(step: JsonObject) -> bool:
    """It waits for an event."""
    return "wait" in step and not decided(step)


def settled(step: JsonObject) -> bool:
    """Nothing is left to compensate."""
    if "owed" in step:
        return False
    if "passed_over" in step or "by_hand" in step:
        return True
    compensation = step.get(COMPENSATE, {})
    if "round" in compensation:
        return bool(compensation.get("answer") == SUCCEEDED)
    return not may_have_happened(step)


def may_have_happened(step: JsonObject) -> bool:
    """It took effect, or nobody can exclude that it did."""
    forward = step.get(FORWARD, {})
    if "round" not in forward:
        return False
    ended = "skipped" in step or bool(step.get("given_up"))
    never = forward.get("answer") == REJECTED or "unsent" in forward
    return "succeeded" in step or "happened_late" in step or (ended and not never)
