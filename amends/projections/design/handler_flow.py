"""Which handler leads to which: by the answer to what it sends, or the timeout that it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from amends.domain.events import JsonObject
from amends.projections.design.conduct import Conduct, Deeds, Sent, Trigger
from amends.projections.design.outline import Design


@dataclass(frozen=True, slots=True)
class Handler:
    """One method, and what calls it."""

    name: str
    trigger: Trigger

    @property
    def called(self) -> str:
        """What happens, for people."""
        kind, what = self.trigger
        return {"rejected": f"{what} is rejected", "timeout": f"the timeout {what!r}"}.get(kind, what)


@dataclass(frozen=True, slots=True)
class Link:
    """From a handler to one that it leads to; `sent` is the command whose answer calls it."""

    source: Handler
    target: Handler
    sent: Sent | None = None


class Flow:
    """The handlers of a design as a graph."""

    def __init__(self, design: Design) -> None:
        self.conduct = design.conduct or Conduct(design.shape)
        self.handlers = [
            Handler(str(each["name"]), (str(each["kind"]), str(each.get("subject") or each.get("timeout"))))
            for each in design.handlers
        ]
        commands = cast("list[JsonObject]", design.shape.get("sends") or [])
        self._answers = {each["subject"]: each["reply"] or f"{each['subject']}.done" for each in commands}

    @property
    def starts(self) -> Sequence[Handler]:
        """Those that begin a saga."""
        return [handler for handler in self.handlers if handler.trigger[0] == "start"]

    def deeds(self, handler: Handler) -> Deeds:
        """What it was seen to do."""
        return self.conduct.of(handler.trigger)

    @cached_property
    def links(self) -> Sequence[Link]:
        """Every way from one handler to another."""
        return list(dict.fromkeys(link for handler in self.handlers for link in self._from(handler)))

    @cached_property
    def order(self) -> Sequence[Handler]:
        """The handlers as they can first be called; those that only the world outside calls come after the starts."""
        led_to = {link.target for link in self.links}
        found = dict.fromkeys([*self.starts, *(each for each in self.handlers if each not in led_to)])
        unseen = list(found)
        while unseen:
            source = unseen.pop(0)
            new = [link.target for link in self.links if link.source == source and link.target not in found]
            found.update(dict.fromkeys(new))
            unseen += dict.fromkeys(new)
        return [*found, *(each for each in self.handlers if each not in found)]

    def before(self, handler: Handler) -> Sequence[Link]:
        """The links that lead to it, without those that lead back."""
        place = {each: number for number, each in enumerate(self.order)}
        return [link for link in self.links if link.target == handler and place[link.source] < place[handler]]

    def answered(self, handler: Handler) -> frozenset[Sent]:
        """The commands that have surely succeeded when it is first called."""
        return self._answered[handler]

    def answer(self, sent: Sent) -> str:
        """The subject of the event that tells its success."""
        return str(self._answers.get(sent.subject, ""))

    def senders(self, sent: Sent) -> Sequence[Handler]:
        """The handlers that send this command."""
        return [handler for handler in self.handlers if sent in self.deeds(handler).sends]

    def after_pivot(self, sent: Sent) -> bool:
        """It is never sent without a pivot before it."""
        orders = [order for order in self.conduct.orders if sent in order]
        return all(any(each.pivot for each in order[: order.index(sent)]) for order in orders)

    @cached_property
    def _answered(self) -> Mapping[Handler, frozenset[Sent]]:
        found: dict[Handler, frozenset[Sent]] = {}
        for handler in self.order:
            event = handler.trigger[0] == "event"
            ways = [
                found[link.source] | ({link.sent} if link.sent and event else frozenset[Sent]())
                for link in self.before(handler)
            ]
            found[handler] = frozenset(s for s in (ways[0] if ways else ()) if all(s in way for way in ways))
        return found

    def _from(self, source: Handler) -> Iterator[Link]:
        deeds = self.deeds(source)
        for target in self.handlers:
            kind, what = target.trigger
            if kind == "timeout" and what in deeds.timeouts:
                yield Link(source, target)
            for sent in deeds.sends:
                if (kind, what) in (("event", self.answer(sent)), ("rejected", sent.subject)):
                    yield Link(source, target, sent)
