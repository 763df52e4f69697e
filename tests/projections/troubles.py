"""A saga that gets stuck as its start event says, once; and the service that lets it. Runs as a user's module."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from amends import (
    Choreography,
    Command,
    Event,
    Failed,
    Participant,
    Rejected,
    Retry,
    Saga,
    Tx,
    link,
    step,
    wait_for,
)

TROUBLES: Final[set[str]] = set()
"""The keys of sagas that are not out of trouble yet; a test in the same process takes them away."""

PATIENT: Final = Retry(attempts=1, slow=timedelta(hours=1))


class Asked(Event, subject="trouble.asked"):
    key: str
    trouble: str


class ApprovalAsked(Event, subject="approval.asked"):
    key: str
    trouble: str


class Approved(Event, subject="boss.approved"):
    key: str


class Fetch(Command, subject="mechanic.fetch"):
    key: str
    trouble: str


class PutBack(Command, subject="mechanic.put_back"):
    key: str
    trouble: str


class Deliver(Command, subject="mechanic.deliver"):
    key: str
    trouble: str


class Report(Command, subject="mechanic.report"):
    key: str
    trouble: str


class Bill(Command, subject="mechanic.bill"):
    key: str
    trouble: str


class Lose(Command, subject="nobody.answers"):
    """There is no such service."""


class Rumour(Event, subject="rumours.begun"):
    key: str


class Confirmed(Event, subject="rumours.confirmed"):
    key: str


class Hearsay(Choreography, name="hearsay", version=1, key="key"):
    """Somebody is to confirm it, and is silent."""

    confirm = link(Rumour, "nobody", Confirmed, within=timedelta(milliseconds=200))


class Trouble(Saga[Asked], name="trouble", version=1, key="key", deadline=timedelta(days=1)):
    """Fetch, wait where it is to, deliver, report."""

    @step(retry=Retry(attempts=3))
    def fetch(self) -> Fetch:
        return Fetch(key=self.key, trouble=self.start.trouble)

    @fetch.compensate(retry=PATIENT)
    def put_back(self) -> PutBack:
        return PutBack(key=self.key, trouble=self.start.trouble)

    @step(timeout=timedelta(hours=1))
    def lose(self) -> Lose | None:
        return Lose() if self.start.trouble == "awaiting a reply" else None

    @step(pivot=True)
    def deliver(self) -> Deliver:
        if self.start.trouble == "quarantined" and self.key in TROUBLES:
            raise LookupError("a bug in the definition")
        return Deliver(key=self.key, trouble=self.start.trouble)

    @step(retry=Retry(attempts=3))
    def bill(self) -> Bill:
        return Bill(key=self.key, trouble=self.start.trouble)

    @step(retry=PATIENT)
    def report(self) -> Report:
        return Report(key=self.key, trouble=self.start.trouble)


class Approval(Saga[ApprovalAsked], name="approval", version=1, key="key"):
    """Waits for a person."""

    approved = wait_for(Approved, timeout=timedelta(days=2), key="key")

    @step
    def report(self) -> Report:
        return Report(key=self.key, trouble=self.start.trouble)


mechanic: Participant[None] = Participant("mechanic")


def _fail_once(command: Fetch | PutBack | Bill | Report, *troubles: str) -> None:
    if command.trouble in troubles and command.key in TROUBLES:
        TROUBLES.discard(command.key)
        raise Failed("once", "it fails this once", retry_after=timedelta(hours=9))


@mechanic.handles(Fetch)
async def fetch(command: Fetch, tx: Tx) -> None:
    _fail_once(command, "retrying", "suspended", "projection behind")


@mechanic.handles(PutBack, undoes=Fetch)
async def put_back(command: PutBack, tx: Tx) -> None:
    _fail_once(command, "parked compensation")


@mechanic.handles(Deliver)
async def deliver(command: Deliver, tx: Tx) -> None:
    if command.trouble == "parked compensation":
        raise Rejected("nobody", "nobody opened the door")


@mechanic.handles(Report)
async def report(command: Report, tx: Tx) -> None:
    _fail_once(command, "parked step")


@mechanic.handles(Bill)
async def bill(command: Bill, tx: Tx) -> None:
    _fail_once(command, "deadline passed")
