"""Watches the services of choreographies: their rows, what they tell, and whether each chain is whole or undone.

The numbers are those of docs/semantics.md, where a row of a reaction takes the place of a forward key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import dropwhile, islice

from amends.domain import events as e
from amends.domain import wire
from amends.domain.choreography.chain import Chain, Link
from amends.domain.correlation import key_of
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.wire import Outcome
from amends.infrastructure.ports import Incoming, Outgoing
from amends.participant.consumers import REACTIONS
from amends.participant.requests import Claim
from amends.testing.invariants import Deed
from amends.testing.simulation.reacting import Effect, Played, ReactingService
from amends.testing.simulation.record import Record
from amends.testing.simulation.world import chain_of

_BY_HAND = (e.StepSkippedByHand, e.TimerCancelled)


@dataclass
class _Rows:
    """What became of the rows of one service."""

    service: ReactingService
    done: Counter[str] = field(default_factory=Counter[str])
    undone: Counter[str] = field(default_factory=Counter[str])
    closed: set[str] = field(default_factory=set[str])
    """Those that can never take effect."""

    def net(self, row: str) -> int:
        """How many effects are left of it."""
        return self.done[row] - self.undone[row]


class ChainWatch:
    """What the services of choreographies did; what is broken is added to what is known of that."""

    def __init__(self, namespace: str, broken: list[str]) -> None:
        self._namespace = namespace
        self._broken = broken
        self._chains: list[Chain] = []
        self._rows: dict[str, _Rows] = {}

    def watch(self, definitions: Iterable[AnyDefinition], services: Iterable[ReactingService]) -> None:
        """Have each of these services tell what it commits."""
        self._chains = [chain for each in definitions if (chain := chain_of(each)) is not None]
        for each in services:
            rows = self._rows[each.name] = _Rows(each)
            each.database.committed = partial(self._served, rows)

    # What the services did

    def _served(self, rows: _Rows, claims: Sequence[Claim], effects: Sequence[Effect]) -> None:
        """A service committed these effects, in this order, because of events among others."""
        for effect in effects:
            self._took_effect(rows, effect)
        keys = rows.service.database.tables.keys
        for row in {claim.request.forward_key: None for claim in claims}:
            if row in keys and keys[row].outcome is Outcome.REJECTED:
                rows.closed.add(row)
                if rows.done[row]:
                    self._break(2, rows, f"{row} took effect and says that it did not")

    def _took_effect(self, rows: _Rows, effect: Effect) -> None:
        row = effect.row
        counted = rows.done if effect.deed is Deed.DONE else rows.undone
        counted[row] += 1
        if rows.done[row] > 1 or rows.undone[row] > rows.done[row]:
            times = f"{rows.done[row]} times and was undone {rows.undone[row]} times"
            self._break(1, rows, f"{row} took effect {times}")
        if effect.deed is Deed.DONE and row in rows.closed:
            self._break(2, rows, f"{row} took effect after its tombstone")
        if effect.deed is Deed.UNDONE:
            self._in_order(rows, *row.split("/", 1))

    def _in_order(self, rows: _Rows, subject: str, key: str) -> None:
        """Who tells that he undid his part comes after those behind him in the chain who tell it too."""
        for chain in self._chains:
            for link in self._behind(chain, rows.service.name, subject):
                if self._net(link, key):
                    self._break(7, rows, f"undid {subject}/{key} before {link.service} undid its part")

    def _behind(self, chain: Chain, service: str, subject: str) -> Iterator[Link]:
        """The links behind this service's that tell of their undoing, if that is one of them."""
        links = [link for link in chain.forward if self._tells_undoing(chain, link)]
        here_on = dropwhile(lambda link: (link.service, link.after[0].subject) != (service, subject), links)
        return islice(here_on, 1, None)

    def _tells_undoing(self, chain: Chain, link: Link) -> bool:
        told = {each.publishes for each in chain.compensation}
        return any(
            each.reaction.undoes is link.after[0] and {each.returns, each.reaction.publishes} & told
            for each in self._rows[link.service].service.played
        )

    def _net(self, link: Link, key: str) -> int:
        return self._rows[link.service].net(_row(link, key))

    def _begun(self, link: Link, key: str) -> bool:
        return bool(self._rows[link.service].done[_row(link, key)])

    # What the broker was told

    def stored(self, message: Outgoing) -> None:
        """An event was stored: if it is one that a service tells, it must be so."""
        rows = self._rows.get(message.headers.get(wire.CE_SOURCE, "").rpartition("/")[2])
        if rows is None or wire.KEY not in message.headers:
            return
        subject, key = self._subject(message), message.headers[wire.KEY]
        if not any(_has_told(rows, each, subject, key) for each in rows.service.played):
            self._break(10, rows, f"told {subject} of {key}, and it is not so")

    def acknowledged(self, message: Incoming) -> None:
        """A service acknowledged an event: what it leads to must be committed."""
        rows = self._rows[message.consumer.removeprefix(REACTIONS)]
        tables = rows.service.database.tables
        if any(each.message.sequence == message.sequence for each in tables.dead):
            return
        for each in rows.service.to(self._subject(message)):
            key = key_of(each.reaction.event.model_validate_json(message.body), each.reaction.key)
            known = tables.keys.get(each.row(key))
            over = known is not None and (known.outcome is Outcome.REJECTED or known.compensated)
            if not over and (each.reaction.undoes or known is None or known.outcome is None):
                self._break(11, rows, f"acknowledged {each.reaction.subject} of {key}, and did nothing")

    def _subject(self, message: Incoming | Outgoing) -> str:
        return message.subject.removeprefix(wire.event_subject(self._namespace, ""))

    # The end

    def decided(self, record: Record, event: e.SagaEvent) -> None:
        """The observer recorded this: a chain is called whole when all of it is there, and undone when it is gone."""
        chain = chain_of(record.definition)
        if chain is None or record.state is None:
            return
        key, known = record.state.key, record.ledger.step
        if isinstance(event, e.SagaCompleted):
            early = [
                link for link in chain.forward if not (known(link.name).skipped or self._begun(link, key))
            ]
            self._broken += [
                f"3: completed before {each.service} did its part ({record.name})" for each in early
            ]
        elif isinstance(event, e.SagaCompensated) and not _goes_on_without(record, chain):
            left = [
                each for each in chain.forward if self._tells_undoing(chain, each) and self._net(each, key)
            ]
            self._broken += [f"4: compensated before {each.service} was ({record.name})" for each in left]

    def ended(self, records: Iterable[Record]) -> None:
        """Nothing is on its way any more: invariants 3 and 4, and whether each chain came to an end."""
        for record in records:
            chain = chain_of(record.definition)
            if chain is not None and record.state is not None:
                found = self._of_chain(chain, record, record.state.key)
                self._broken += [f"{each} ({record.name})" for each in found]

    def _of_chain(self, chain: Chain, record: Record, key: str) -> Iterator[str]:
        if record.ledger.status == "completed":
            for link in chain.forward:
                if not record.ledger.step(link.name).skipped and self._net(link, key) != 1:
                    yield f"3: completed, and {link.service} has {self._net(link, key)} effects for {link.name}"
        elif record.ledger.status == "compensated":
            if not _goes_on_without(record, chain):
                yield from self._left(chain, key)
        elif record.ledger.status != "failed" and not self._is_excused(record):
            yield f"12: it is stuck {record.ledger.status}, waiting for {', '.join(record.awaited)}"

    def _left(self, chain: Chain, key: str) -> Iterator[str]:
        """What is still there of a chain that was undone."""
        for name in dict.fromkeys(link.service for link in chain.links):
            rows = self._rows[name]
            for each in rows.service.played:
                if each.reaction.undoes and rows.net(each.row(key)):
                    yield f"4: compensated, and {name} has an effect on {each.row(key)}"

    def _is_excused(self, record: Record) -> bool:
        """Somebody went on without an event, or a service gave up on one: a person must see to it."""
        by_hand = any(isinstance(item.event, _BY_HAND) for item in record.history)
        return by_hand or any(rows.service.database.tables.dead for rows in self._rows.values())

    def _break(self, number: int, rows: _Rows, what: str) -> None:
        self._broken.append(f"{number}: {rows.service.name}: {what}")


def _row(link: Link, key: str) -> str:
    return f"{link.after[0].subject}/{key}"


def _goes_on_without(record: Record, chain: Chain) -> bool:
    """An operator skipped a link on the way back."""
    return any(record.ledger.step(link.name).skipped for link in chain.compensation)


def _has_told(rows: _Rows, played: Played, subject: str, key: str) -> bool:
    """Whether this reaction led to an event on this subject, for the chain of this key."""
    reaction, row = played.reaction, played.row(key)
    took_effect = bool(rows.undone[row] if reaction.undoes else rows.done[row])
    told = (
        (played.returns, took_effect),
        (reaction.publishes, took_effect or row in rows.closed),
        (reaction.rejected, row in rows.closed),
    )
    return any(so and kind is not None and kind.subject == subject for kind, so in told)
