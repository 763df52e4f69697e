"""Limits, in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from amends.domain.gate import Ended, Gate, Out
from amends.domain.limits import Limit
from amends.infrastructure.limits import (
    GRACE,
    IN_FORCE,
    LEASE,
    InForce,
    LimitedCommand,
    LimitedSaga,
    LimitStatus,
    ParticipantStatus,
    Releases,
    TypeStatus,
)
from amends.infrastructure.ports import Clock


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

    def __init__(self, clock: Clock, is_quarantined: Callable[[UUID], bool]) -> None:
        self._clock = clock
        self._is_quarantined = is_quarantined
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
        )

    async def release(self, participant: str, at_most: int) -> Releases:
        known = self._participants.get(participant)
        if known is None:
            return Releases()
        now = self._clock.now()
        limit = known.limit if self._stands(known) else Limit(participant)
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

    async def status(self) -> LimitStatus:
        return LimitStatus(
            [self._status(name, known) for name, known in sorted(self._participants.items())],
            [TypeStatus(name, known.at_once, 0, 0) for name, known in sorted(self._types.items())],
        )

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
