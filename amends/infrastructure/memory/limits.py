"""Limits, in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from amends.domain.gate import Ended, Gate, Out
from amends.domain.limits import Limit
from amends.infrastructure.limits import (
    GRACE,
    IN_FORCE,
    LEASE,
    WAITS,
    InForce,
    LimitedCommand,
    LimitedSaga,
    LimitStatus,
    Opened,
    ParticipantStatus,
    Releases,
    Reserved,
    Slot,
    TypeStatus,
)
from amends.infrastructure.ports import Clock, Held, SagaRow


@dataclass(slots=True)
class _Participant:
    limit: Limit
    seen: datetime
    gate: Gate = field(default_factory=Gate)


@dataclass(slots=True)
class _Type:
    at_once: int
    seen: datetime


@dataclass(slots=True)
class _Slot:
    saga: str
    until: datetime | None = None


@dataclass(slots=True)
class _Command:
    saga_id: UUID
    participant: str
    backwards: bool
    suspended: bool
    since: datetime
    released: datetime | None = None
    expires: datetime | None = None
    recorded: bool = False
    failed: bool | None = None


class MemoryLimits:
    """The `Limits` port in memory, over the sagas of a store."""

    def __init__(
        self,
        clock: Clock,
        is_quarantined: Callable[[UUID], bool],
        row: Callable[[UUID], SagaRow | None],
        held: Callable[[], Iterable[Held]],
    ) -> None:
        self._clock = clock
        self._is_quarantined = is_quarantined
        self._row = row
        self._all_held = held
        self._slots: dict[UUID, _Slot] = {}
        self._participants: dict[str, _Participant] = {}
        self._types: dict[str, _Type] = {}
        self._commands: dict[UUID, _Command] = {}

    async def declare(self, limits: Collection[Limit], types: Mapping[str, int], *, anew: bool) -> InForce:
        now = self._clock.now()
        for limit in limits:
            known = self._participants.setdefault(limit.participant, _Participant(limit, now))
            if anew or known.limit == limit or not self._stands(known):
                known.limit, known.seen = limit, now
        for saga, at_once in types.items():
            told = self._types.setdefault(saga, _Type(at_once, now))
            if anew or told.at_once == at_once or not self._stands(told):
                told.at_once, told.seen = at_once, now
        return await self.in_force()

    async def in_force(self) -> InForce:
        return InForce(
            frozenset(name for name, each in self._participants.items() if self._stands(each)),
            frozenset(name for name, each in self._types.items() if self._stands(each)),
            frozenset(self._participants),
            frozenset(each.saga for each in self._all_held() if each.why == WAITS),
        )

    async def release(self, participant: str, at_most: int, *, own: bool = False) -> Releases:
        known = self._participants.get(participant)
        if known is None:
            return Releases()
        now = self._clock.now()
        limit = known.limit if own or self._stands(known) else Limit(participant)
        gate = known.gate.heard(limit.breaker, self._take_ended(participant), now)
        held = self._held(participant, now)
        room = gate.room(limit, self._out(participant, gate, now), now)
        chosen = held[: at_most if room is None else min(room, at_most)]
        for command_id in chosen:
            command = self._commands[command_id]
            command.released, command.expires = now, now + LEASE
        known.gate = gate = gate.released(len(chosen), now)
        commands = [(self._commands[command_id].saga_id, command_id) for command_id in chosen]
        if len(chosen) == at_most:
            return Releases(commands, now)
        return Releases(commands, gate.again(limit, now) if held else None)

    async def reserve(self, starts: Mapping[UUID, str]) -> Reserved:
        granted: set[UUID] = set()
        full: set[str] = set()
        room = {saga: self._free(saga) - len(self._waiting(saga)) for saga in starts.values()}
        for saga_id, saga in starts.items():
            if self._runs(saga_id) or self._is_taken(saga_id):
                granted.add(saga_id)
            elif room[saga] > 0:
                room[saga] -= 1
                granted.add(saga_id)
                self._reserve(saga_id, saga)
            full |= {saga} if room[saga] <= 0 else set()
        return Reserved(frozenset(granted), frozenset(full))

    async def open(self, saga: str, at_most: int, *, own: bool = False) -> Opened:
        now = self._clock.now()
        known = self._types.get(saga)
        free = max(0, self._free(saga)) if known and (own or self._stands(known)) else at_most + 1
        waiting = [
            each
            for each in self._waiting(saga)
            if not (each.saga_id in self._slots and (self._slots[each.saga_id].until or now) > now)
        ]
        running = [each for each in waiting if each.saga_id and self._runs(each.saga_id)][:at_most]
        new = [each for each in waiting if each not in running][: min(free, at_most)]
        for each in new:
            assert each.saga_id is not None
            self._reserve(each.saga_id, saga)
        chosen = [each.message for each in waiting if each in running or each in new]
        return Opened(chosen, has_room=free > len(new) and len(chosen) == len(waiting))

    async def status(self) -> LimitStatus:
        return LimitStatus(
            [self._status(name, known) for name, known in sorted(self._participants.items())],
            [
                TypeStatus(name, known.at_once, self._busy(name), len(self._waiting(name)))
                for name, known in sorted(self._types.items())
                if self._stands(known)
            ],
        )

    @property
    def next_release(self) -> datetime | None:
        """When something may leave or start that is held or waits, as far as nothing else must happen before."""
        return min(self._moments(self._clock.now()), default=None)

    def save(self, sagas: Iterable[LimitedSaga]) -> None:
        """What a commit leaves of the limited commands of these sagas."""
        for saga in sagas:
            wanted = {each.command_id: each for each in saga.commands}
            for command_id, command in list(self._commands.items()):
                if command.saga_id != saga.saga_id or command_id in wanted or command.failed is not None:
                    continue
                if command_id in saga.failed:
                    command.failed = saga.failed[command_id]
                else:
                    del self._commands[command_id]
            for each in wanted.values():
                self._save(saga, each)

    def occupy(self, slots: Iterable[Slot]) -> None:
        """Which sagas of limited types run now."""
        for slot in slots:
            self._slots.pop(slot.saga_id, None)
            if slot.busy:
                self._slots[slot.saga_id] = _Slot(slot.saga)

    def _moments(self, now: datetime) -> Iterator[datetime]:
        for name, known in self._participants.items():
            if self._held(name, now):
                room = known.gate.room(known.limit, self._out(name, known.gate, now), now)
                has_ended = any(each.failed is not None for _, each in self._of(name))
                again = known.gate.again(known.limit, now)
                yield from [now] if room != 0 or has_ended else [again] if again else []
        yield from (each.expires for each in self._commands.values() if not each.recorded and each.expires)
        yield from (slot.until for slot in self._slots.values() if slot.until)
        yield from (now for saga in self._types if self._waiting(saga) and self._free(saga) > 0)

    def _waiting(self, saga: str) -> list[Held]:
        return [each for each in self._all_held() if each.saga == saga and each.why == WAITS]

    def _free(self, saga: str) -> int:
        known = self._types.get(saga)
        return known.at_once - self._busy(saga) if known else 0

    def _busy(self, saga: str) -> int:
        return sum(slot.saga == saga and self._is_taken(saga_id) for saga_id, slot in self._slots.items())

    def _reserve(self, saga_id: UUID, saga: str) -> None:
        self._slots[saga_id] = _Slot(saga, self._clock.now() + LEASE)

    def _is_taken(self, saga_id: UUID) -> bool:
        slot, row = self._slots.get(saga_id), self._row(saga_id)
        if slot is None:
            return False
        if slot.until is not None and slot.until > self._clock.now():
            return True
        unfinished = row is not None and row.status in ("running", "compensating")
        return unfinished and not self._is_quarantined(saga_id)

    def _runs(self, saga_id: UUID) -> bool:
        row = self._row(saga_id)
        return row is not None and row.version > 0

    def _save(self, saga: LimitedSaga, told: LimitedCommand) -> None:
        command = self._commands.setdefault(
            told.command_id,
            _Command(saga.saga_id, told.participant, told.backwards, saga.suspended, told.since),
        )
        command.suspended, command.recorded = saga.suspended, told.expires is not None
        if told.expires is not None:
            command.released = command.released or self._clock.now()
            command.expires = told.expires

    def _stands(self, told: _Participant | _Type) -> bool:
        return told.seen >= self._clock.now() - IN_FORCE

    def _of(self, participant: str) -> Sequence[tuple[UUID, _Command]]:
        return [each for each in self._commands.items() if each[1].participant == participant]

    def _take_ended(self, participant: str) -> list[Ended]:
        ended: list[Ended] = []
        for command_id, command in self._of(participant):
            if command.released is not None and command.failed is not None:
                ended.append(Ended(command.released, command.failed))
                del self._commands[command_id]
        return sorted(ended, key=lambda each: each.released)

    def _out(self, participant: str, gate: Gate, now: datetime) -> Out:
        released = [
            command.released
            for _, command in self._of(participant)
            if command.released and command.failed is None and _is_out(command, now)
        ]
        return Out(len(released), sum(gate.since is not None and each >= gate.since for each in released))

    def _held(self, participant: str, now: datetime) -> list[UUID]:
        held = [each for each in self._of(participant) if _is_held(each[1], now)]
        could = [each for each in held if not (each[1].suspended or self._is_quarantined(each[1].saga_id))]
        return [command_id for command_id, _ in sorted(could, key=lambda each: not each[1].backwards)]

    def _status(self, participant: str, known: _Participant) -> ParticipantStatus:
        now = self._clock.now()
        held = [command.since for _, command in self._of(participant) if _is_held(command, now)]
        return ParticipantStatus(
            participant,
            known.limit if self._stands(known) else None,
            known.gate,
            self._out(participant, known.gate, now).count,
            len(held),
            min(held, default=None),
        )


def _is_out(command: _Command, now: datetime) -> bool:
    grace = GRACE if command.recorded else timedelta(0)
    return command.expires is not None and command.expires + grace > now


def _is_held(command: _Command, now: datetime) -> bool:
    return not command.recorded and (command.expires is None or command.expires <= now)
