"""Answers, events and dead letters as messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from amends.domain import wire
from amends.domain.identity import named
from amends.domain.wire import Outcome
from amends.infrastructure.letters import all_plain, dead_letter, header, plain
from amends.infrastructure.ports import Incoming, Outgoing
from amends.participant.errors import AnswerTooLarge
from amends.participant.memory import Answer, Told

_NAMES: Final = UUID("3c0c1f0e-8a4b-5d53-9d0a-5b6c2f1d7e10")
_TRACE: Final = (wire.TRACEPARENT, wire.TRACESTATE)
_COPIED: Final = (
    wire.SAGA_ID,
    wire.SAGA,
    wire.KEY,
    wire.STEP,
    wire.DIRECTION,
    wire.ROUND,
    wire.ATTEMPT,
    wire.CE_SUBJECT,
    *_TRACE,
)
MOST_HEADERS: Final = 16 * 1024
"""Bytes that the headers of a command may have: its answer carries them too, whenever it is told."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the messages of one participant; `limit` is how many bytes one may have, headers included."""

    namespace: str
    name: str
    limit: int

    def reply(
        self, message: Incoming, answer: Answer, subjects: tuple[str, str, str], now: datetime
    ) -> Outgoing:
        """The event that answers a command message; `subjects` as `wire.reply_subjects` gives them.

        Its id is a function of command id and outcome, so that a command delivered again is answered with
        the same message.
        """
        command_id = message.headers[wire.CE_ID]
        succeeded, rejected, failed = subjects
        event = {Outcome.SUCCEEDED: succeeded, Outcome.REJECTED: rejected}.get(answer.outcome, failed)
        identity = str(named(_NAMES, f"{command_id}/{answer.outcome}"))
        headers = all_plain({name: message.headers[name] for name in _COPIED if name in message.headers})
        headers |= self._described(identity, event, now)
        headers |= {wire.CAUSATION_ID: command_id, wire.OUTCOME: str(answer.outcome)}
        return Outgoing(identity, wire.event_subject(self.namespace, event), headers, answer.body, identity)

    def event(
        self, cause: Incoming, row: str, key: str, told: Told, now: datetime, *, again: str = ""
    ) -> Outgoing:
        """The event by which a reaction goes on, or its compensation; `key` is the chain's.

        Its id is a function of the row that it is about, so that it is the same message however often it is told;
        told `again` because of a request of this id, it is one that the broker does not take for a repetition.
        """
        identity = str(named(_NAMES, f"{self.name}/{row}/{told.subject}"))
        headers = all_plain({name: cause.headers[name] for name in _TRACE if name in cause.headers})
        headers |= self._described(identity, told.subject, now) | {wire.KEY: header(key)}
        deduplication = f"{identity}/{again}" if again else identity
        subject = wire.event_subject(self.namespace, told.subject)
        return Outgoing(identity, subject, headers, told.body, deduplication)

    def _described(self, identity: str, kind: str, now: datetime) -> dict[str, str]:
        return {
            wire.CE_SPECVERSION: "1.0",
            wire.CE_ID: identity,
            wire.CE_SOURCE: f"/amends/{self.namespace}/{self.name}",
            wire.CE_TYPE: kind,
            wire.CE_TIME: wire.timestamp(now),
        }

    def check(self, answer: Answer) -> None:
        """Raises `AnswerTooLarge` for an answer that may not fit beside the headers of any later command."""
        most = self.limit - wire.HEADERS
        if len(answer.body) > most:
            raise AnswerTooLarge(
                f"the answer has {len(answer.body)} bytes, and can have {most}. "
                "Store what is large, and answer with where it is"
            )

    def dead_letter(self, message: Incoming, reason: str) -> Outgoing:
        """The message on `ns.dead.<participant>`: the original, with the reason and where it came from."""
        return dead_letter(self.namespace, self.name, message, dead_letter_id(message), reason, self.limit)


def dead_letter_id(message: Incoming) -> str:
    """The same for every delivery of one message."""
    told = f"{message.subject}\n{message.headers.get(wire.CE_ID, message.sequence)}\n"
    return str(named(_NAMES, plain(told) + sha256(message.body).hexdigest()))
