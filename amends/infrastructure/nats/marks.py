"""Noticing that the broker lost messages which it had stored."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from amends.domain import wire
from amends.infrastructure.broker import Intact, Lost, Mark
from amends.infrastructure.nats.api import Api


class Seen:
    """The newest messages that this process knows to be stored, gathered from its own traffic.

    Marks in a store are as old as the last inspection; this is as new as the last acknowledgement, so that
    the loss of a stream's tail shows. While in doubt (after a disconnect) nothing is added: what is stored
    then may already stand in the place of what was lost.
    """

    def __init__(self) -> None:
        self._created: dict[str, str] = {}
        self._last: dict[str, tuple[int, str]] = {}
        self._trusted = False

    @property
    def is_trusted(self) -> bool:
        """Whether the streams have been inspected since the connection was made."""
        return self._trusted

    def note(self, stream: str, sequence: int, message_id: str) -> None:
        """This message is stored there."""
        if self._trusted:
            last = self._last.get(stream)
            if last is not None and sequence > last[0]:
                self._last[stream] = (sequence, message_id)

    def doubt(self) -> None:
        """The connection broke."""
        self._trusted = False

    def trust(self, marks: Iterable[Mark]) -> None:
        """The streams have been inspected and these are their ends."""
        for mark in marks:
            if self._trusted and self.newest(mark) is not mark:
                continue
            self._created[mark.stream] = mark.created
            self._last[mark.stream] = (mark.sequence, mark.message_id)
        self._trusted = True

    def newest(self, mark: Mark | None) -> Mark | None:
        """The mark, or what was seen since in the same stream."""
        if mark is None or self._created.get(mark.stream) != mark.created:
            return mark
        sequence, message_id = self._last[mark.stream]
        return Mark(mark.stream, mark.created, sequence, message_id) if sequence > mark.sequence else mark


async def inspect(api: Api, stream: str, mark: Mark | None) -> Intact | Lost:
    """Compare the stream with what is remembered of it."""
    info = await api.stream(stream)
    if info is None:
        return Intact(None) if mark is None else Lost("the stream is missing", None)
    present = await _end(api, stream, info)
    if mark is None:
        return Intact(present)
    reason = await _loss(api, info, mark, present)
    return Lost(reason, present) if reason else Intact(present)


async def _end(api: Api, stream: str, info: Mapping[str, Any]) -> Mark:
    sequence: int = info["state"]["last_seq"]
    last = await api.message(stream, {"seq": sequence}) if info["state"]["messages"] else None
    return Mark(stream, info["created"], sequence, _id(last) if last else "")


async def _loss(api: Api, info: Mapping[str, Any], mark: Mark, present: Mark) -> str:
    """Why something must have been lost; nothing where it was not."""
    if present.created != mark.created:
        return f"the stream was created again: {present.created}, it was {mark.created}"
    if present.sequence < mark.sequence:
        return f"the stream ends at {present.sequence}, it ended at {mark.sequence}"
    if not mark.message_id or mark.sequence < info["state"]["first_seq"]:
        return ""  # it has merely aged out
    if mark.sequence == present.sequence and present.message_id == mark.message_id:
        return ""
    found = await replaced(api, mark.stream, mark.sequence, mark.message_id)
    return "" if found is None else f"message {mark.sequence} is {found or 'gone'}, it was {mark.message_id}"


async def replaced(api: Api, stream: str, sequence: int, message_id: str) -> str | None:
    """The id of the message that stands in the place of this one, empty if none does.

    None: it is still there, or has merely aged out.
    """
    message = await api.message(stream, {"seq": sequence})
    if message is not None:
        found = _id(message)
        return None if found == message_id else found
    info = await api.stream(stream)
    aged_out = info is not None and sequence < info["state"]["first_seq"]
    return None if aged_out else ""


def _id(message: Mapping[str, Any]) -> str:
    headers: dict[str, str] = {}
    for line in base64.b64decode(message.get("hdrs") or "").decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name] = value.strip()
    return headers.get(wire.NATS_MSG_ID) or headers.get(wire.CE_ID) or ""
