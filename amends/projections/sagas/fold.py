"""How each event changes what is known of a saga: the domain's fold, as far as views need it, on plain JSON.

Twice as much would be read, and five times as long be needed, by the domain's own; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from amends.domain.events import JsonObject
from amends.domain.state import Status
from amends.projections.projection import UNREADABLE, Logged
from amends.projections.sagas import lines
from amends.projections.sagas.lines import CLOSE, COMPENSATE, FORWARD, SUCCEEDED, forget

Saga: TypeAlias = dict[str, Any]

RUNNING: Final = str(Status.RUNNING)
COMPENSATING: Final = str(Status.COMPENSATING)


def evolve(saga: Saga, event: Logged) -> None:
    """Change the saga as the event says. One of a type from which nothing follows for views only counts.

    A saga of which an event cannot be read, or does not follow from those before it, is shown as it was then.
    """
    saga["version"] = event.version
    if "unreadable" in saga:
        return
    change = _EVOLVE.get(event.type, _nothing)
    try:
        change(saga, event.data)
        saga["updated"] = event.data["at"]
    except (KeyError, TypeError, ValueError) as error:
        _unreadable(saga, {"reason": f"version {event.version}, {event.type}: {error!r}"})


def _started(saga: Saga, event: JsonObject) -> None:
    saga |= {
        "saga": event["saga"],
        "definition": event["definition"],
        "key": event["key"],
        "status": RUNNING,
        "started": event["at"],
        "by": event["cause"],
        "trace": event.get("trace", ""),
        "steps": {},
        "timeouts": {},
        **({"deadline": event["deadline"]} if event.get("deadline") else {}),
    }


def _step(saga: Saga, event: JsonObject) -> JsonObject:
    step: JsonObject = saga["steps"].setdefault(event["step"], {})
    return step


def _line(step: JsonObject, event: JsonObject) -> JsonObject:
    line: JsonObject = step.setdefault(event.get("direction", FORWARD), {})
    return line


def _ended(status: Status) -> Callable[[Saga, JsonObject], None]:
    def change(saga: Saga, event: JsonObject) -> None:
        saga["status"], saga["ended"] = str(status), event["at"]

    return change


def _failed_saga(saga: Saga, event: JsonObject) -> None:
    saga["status"], saga["ended"] = str(Status.FAILED), event["at"]
    forget(saga, "suspended", "suspended_at")


def _compensating(saga: Saga, event: JsonObject) -> None:
    saga["status"], saga["reason"] = COMPENSATING, event["reason"]
    forget(saga, "ended")
    if event.get("step"):  # reopened because of it
        forget(_step(saga, event), "passed_over")


def _deadline_passed(saga: Saga, event: JsonObject) -> None:
    saga["deadline_passed"] = event["at"]


def _cancel_requested(saga: Saga, event: JsonObject) -> None:
    saga["cancelled"] = event["reason"]


def _suspended(saga: Saga, event: JsonObject) -> None:
    saga["suspended"], saga["suspended_at"] = event["reason"], event["at"]


def _resumed(saga: Saga, _: JsonObject) -> None:
    forget(saga, "suspended", "suspended_at")


def _recorded(saga: Saga, event: JsonObject) -> None:
    step = _step(saga, event)
    lines.record(_line(step, event), event)
    if event.get("direction") == COMPENSATE and event.get("payload") is not None:
        forget(step, "owed")


def _released(saga: Saga, event: JsonObject) -> None:
    lines.release(_line(_step(saga, event), event), event)


def _withdrawn(saga: Saga, event: JsonObject) -> None:
    lines.withdraw(_line(_step(saga, event), event))


def _succeeded(saga: Saga, event: JsonObject) -> None:
    step = _step(saga, event)
    line = _line(step, event)
    lines.answer(line, event, SUCCEEDED)
    forget(line, "retry", "parked", "parked_since")
    direction = event.get("direction", FORWARD)
    if direction == CLOSE:
        lines.close(step[FORWARD], SUCCEEDED)
    if direction != COMPENSATE:
        if step.get("given_up"):
            _happened_late(saga, step)
        else:
            step["succeeded"] = True


def _happened_late(saga: Saga, step: JsonObject) -> None:
    step["happened_late"] = True
    if saga["status"] == COMPENSATING:
        forget(step, "passed_over")


def _rejected(saga: Saga, event: JsonObject) -> None:
    step = _step(saga, event)
    line = _line(step, event)
    lines.answer(line, event, lines.REJECTED)
    forget(line, "retry")
    _error(saga, line, event, event.get("reason") or event.get("code", ""))
    if event.get("direction") == CLOSE:
        lines.close(step[FORWARD], lines.REJECTED)


def _failed(saga: Saga, event: JsonObject) -> None:
    line = _line(_step(saga, event), event)
    lines.answer(line, event, "failed")
    _error(saga, line, event, event.get("reason") or event.get("code", ""))


def _timed_out(saga: Saga, event: JsonObject) -> None:
    line = _line(_step(saga, event), event)
    lines.answer(line, event, "timed_out")
    _error(saga, line, event, "no answer")


def _error(saga: Saga, line: JsonObject, event: JsonObject, error: str) -> None:
    line["error"] = error
    saga["last_error"], saga["last_error_at"] = f"{event['step']}: {error}", event["at"]


def _contradiction(saga: Saga, event: JsonObject) -> None:
    step = _step(saga, event)
    lines.answer(_line(step, event), event, event["came"], decides=False)
    forward = event.get("direction", FORWARD) == FORWARD
    if forward and event["came"] == SUCCEEDED and not step.get("succeeded"):
        _happened_late(saga, step)
    saga["contradictions"] = saga.get("contradictions", 0) + 1
    error = f"contradiction: the service said {event['recorded']}, and then {event['came']}"
    saga["last_error"], saga["last_error_at"] = f"{event['step']}: {error}", event["at"]


def _retry_scheduled(saga: Saga, event: JsonObject) -> None:
    line = _line(_step(saga, event), event)
    lines.schedule(line, event["due"], event["at"])
    if event.get("anew"):
        line["before"] = line.get("sent", 0)
        forget(line, "parked", "parked_since")


def _retry_requested(saga: Saga, event: JsonObject) -> None:
    lines.schedule(_line(_step(saga, event), event), event["at"], event["at"])


def _parked(saga: Saga, event: JsonObject) -> None:
    line = _line(_step(saga, event), event)
    line["parked"] = event["reason"]
    line.setdefault("parked_since", event["at"])
    if event.get("stops"):
        line["stopped"] = event["reason"]


def _given_up(saga: Saga, event: JsonObject) -> None:
    _step(saga, event)["given_up"] = event["reason"]


def _skipped(saga: Saga, event: JsonObject) -> None:
    _step(saga, event)["skipped"] = True


def _passed_over(saga: Saga, event: JsonObject) -> None:
    step = _step(saga, event)
    step["passed_over"] = True
    forget(step.get(COMPENSATE, {}), "retry", "parked", "parked_since")


def _compensation_reopened(saga: Saga, event: JsonObject) -> None:
    step = _step(saga, event)
    step["owed"] = True
    forget(step, "passed_over", "by_hand")


def _migrated(saga: Saga, event: JsonObject) -> None:
    saga["definition"] = event["definition"]
    names: dict[str, str] = event.get("steps", {})
    saga["steps"] = {names.get(name, name): step for name, step in saga["steps"].items()}


def _settled_by_hand(saga: Saga, event: JsonObject) -> None:
    step = _step(saga, event)
    line = _line(step, event)
    lines.close(line, event["outcome"])
    forget(line, "retry", "parked", "parked_since")
    if event.get("direction") == COMPENSATE:
        step["by_hand"] = True
        forget(step, "owed")
    elif event["outcome"] == SUCCEEDED:
        step["succeeded"] = True
    else:
        line["error"] = event["reason"]


def _times_out(saga: Saga, event: JsonObject) -> bool:
    """Whether what the event calls a step is a timeout that a handler asked for."""
    name = event["step"]
    return name in saga["timeouts"] and name not in saga["steps"] and saga["status"] == RUNNING


def _timer_rescheduled(saga: Saga, event: JsonObject) -> None:
    if not event.get("step"):
        saga["deadline"] = event["due"]
        return
    if _times_out(saga, event):
        saga["timeouts"][event["step"]]["due"] = event["due"]
        return
    step = _step(saga, event)
    if lines.waiting(step):
        step["wait"]["due"] = event["due"]
        forget(step["wait"], "parked", "parked_since")
    else:
        line = _line(step, event)
        line["moved"] = event["due"]
        forget(line, "stopped")


def _timer_cancelled(saga: Saga, event: JsonObject) -> None:
    if not event.get("step"):
        forget(saga, "deadline")
        return
    if _times_out(saga, event):
        forget(saga["timeouts"], event["step"])
        return
    step = _step(saga, event)
    if lines.waiting(step):
        forget(step["wait"], "due")
        step["wait"] |= {"parked": event["reason"], "parked_since": event["at"]}
    else:
        _line(step, event)["stopped"] = event["reason"]


def _wait_started(saga: Saga, event: JsonObject) -> None:
    wait = {"since": event["at"], "due": event["due"], "subject": " or ".join(event["subjects"])}
    _step(saga, event)["wait"] = wait


def _done(saga: Saga, event: JsonObject) -> None:
    _step(saga, event)["succeeded"] = True


def _wait_timed_out(saga: Saga, event: JsonObject) -> None:
    forget(_step(saga, event).get("wait", {}), "due")


def _wait_parked(saga: Saga, event: JsonObject) -> None:
    step = _step(saga, event)
    step["wait"] |= {"parked": event["reason"], "parked_since": event["at"]}
    _error(saga, step["wait"], event, event["reason"])


def _timeout_requested(saga: Saga, event: JsonObject) -> None:
    saga["timeouts"][event["name"]] = {"since": event["at"], "due": event["due"]}


def _timeout_over(saga: Saga, event: JsonObject) -> None:
    forget(saga["timeouts"], event["name"])


def _completing(saga: Saga, _: JsonObject) -> None:
    saga["completing"] = True


def _nothing(_saga: Saga, _event: JsonObject) -> None:
    pass


def _unreadable(saga: Saga, event: JsonObject) -> None:
    saga["unreadable"] = saga["last_error"] = f"its history cannot be read: {event['reason']}"


_EVOLVE: Final[dict[str, Callable[[Saga, JsonObject], None]]] = {
    "saga.started": _started,
    "saga.completed": _ended(Status.COMPLETED),
    "saga.compensating": _compensating,
    "saga.reopened": _compensating,
    "saga.compensated": _ended(Status.COMPENSATED),
    "saga.failed": _failed_saga,
    "saga.deadline-passed": _deadline_passed,
    "saga.cancel-requested": _cancel_requested,
    "saga.suspended": _suspended,
    "saga.resumed": _resumed,
    "saga.migrated": _migrated,
    "timer.rescheduled": _timer_rescheduled,
    "timer.cancelled": _timer_cancelled,
    "timeout.requested": _timeout_requested,
    "timeout.cancelled": _timeout_over,
    "timeout.fired": _timeout_over,
    "completion.requested": _completing,
    "step.skipped": _skipped,
    "step.skipped-by-hand": _skipped,
    "step.settled-by-hand": _settled_by_hand,
    "step.given-up": _given_up,
    "step.compensation-passed-over": _passed_over,
    "step.compensation-reopened": _compensation_reopened,
    "step.announced": _done,
    "wait.started": _wait_started,
    "wait.succeeded": _done,
    "wait.timed-out": _wait_timed_out,
    "wait.parked": _wait_parked,
    "command.recorded": _recorded,
    "command.released": _released,
    "command.withdrawn": _withdrawn,
    "command.succeeded": _succeeded,
    "command.rejected": _rejected,
    "command.failed": _failed,
    "command.timed-out": _timed_out,
    "command.retry-scheduled": _retry_scheduled,
    "command.retry-requested": _retry_requested,
    "command.parked": _parked,
    "command.contradiction": _contradiction,
    UNREADABLE: _unreadable,
}
