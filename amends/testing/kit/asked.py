"""A command that the saga sent, as the test has it: to be answered as its service would."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic_core import to_json

from amends.domain import wire
from amends.domain.messages import Command, Event
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.ports import Incoming
from amends.participant.memory import Answer
from amends.testing.kit.errors import BadScript

if TYPE_CHECKING:
    from amends.testing.kit.scenario import Scenario

C = TypeVar("C", bound=Command[Any])


class Asked(Generic[C]):
    """A command that the saga sent, to be answered as its service would: at once, later, twice, or never."""

    def __init__(self, scenario: Scenario, command: C, message: Incoming) -> None:
        self._scenario = scenario
        self._message = message
        self.command: Final = command
        """What was asked."""

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1 on."""
        return int(self._message.headers[wire.ATTEMPT])

    @property
    def key(self) -> str:
        """The idempotency key."""
        return self._message.headers[wire.IDEMPOTENCY_KEY]

    @property
    def direction(self) -> Direction:
        """Whether it asks to do, to undo or to close."""
        return Direction(self._message.headers[wire.DIRECTION])

    def reply(self, event: Event | None = None, *, times: int = 1) -> Scenario:
        """The service did it. Without an event: `Done`, or a reply without fields.

        `times` more than 1 is a message that comes more than once. Raises `BadScript` for another command's reply.
        """
        expected = type(self.command).reply_type()
        answer = expected() if event is None and not expected.model_fields else event
        if not isinstance(answer, expected):
            raise BadScript(
                f"expected a {expected.__name__}, the reply of {type(self.command).__name__}, got {event!r}"
            )
        if self._foreign:
            return self._scenario.publish(answer)
        return self._answer(Outcome.SUCCEEDED, answer.model_dump_json().encode(), repr(answer), times)

    def reject(self, reason: str = "", *, code: str = "", times: int = 1) -> Scenario:
        """A definite no: it did not happen, and will not."""
        return self._answer(Outcome.REJECTED, _refusal(code, reason), reason or code, times)

    def fail(self, reason: str = "", *, code: str = "", retry_after: timedelta | None = None) -> Scenario:
        """A technical failure: this attempt took no effect, another may."""
        return self._answer(Outcome.FAILED, _refusal(code, reason, retry_after), reason or code, 1)

    def unanswered(self) -> Scenario:
        """Nothing, at least for now."""
        self._scenario.said("  no answer")
        return self._scenario

    @property
    def _foreign(self) -> bool:
        """Its service knows nothing of the wire contract, and answers by an event of its own."""
        return self._scenario.is_foreign(self._message)

    def _answer(self, outcome: Outcome, body: bytes, shown: str, times: int) -> Scenario:
        if self._foreign:
            raise BadScript(
                f"{type(self.command).__name__} goes to a foreign service, which says no by an event of its own; "
                "publish that: .publish(…)"
            )
        self._scenario.said(f"  {outcome} {shown}".rstrip() + (f", {times} times" if times > 1 else ""))
        self._scenario.answer(self._message, type(self.command), Answer(outcome, body), times)
        return self._scenario


def _refusal(code: str, reason: str, retry_after: timedelta | None = None) -> bytes:
    body: dict[str, Any] = {"code": code, "reason": reason}
    if retry_after is not None:
        body["retry_after"] = retry_after.total_seconds()
    return to_json(body)
