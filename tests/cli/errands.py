"""A saga whose start event says how it is to go, and the service that has it go so. Runs as a user's module."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from amends import Command, Event, Failed, Participant, Rejected, Retry, Saga, Tx, step

PATIENT = Retry(attempts=1, slow=timedelta(hours=1))


class Asked(Event, subject="errands.asked"):
    errand: str
    fate: Literal["fine", "refused", "unanswered", "retrying", "parked", "not undone", "broken"] = "fine"


class Fetch(Command, subject="courier.fetch"):
    fate: str


class Search(Command, subject="nobody.search"):
    """There is no such service, so that nobody answers."""


class PutBack(Command, subject="courier.put_back"):
    fate: str


class Deliver(Command, subject="courier.deliver"):
    fate: str


class Report(Command, subject="courier.report"):
    fate: str


class Errand(Saga[Asked], name="errand", version=1, key="errand", deadline=timedelta(days=1)):
    """Fetch, deliver, report."""

    @step(timeout=timedelta(milliseconds=200), retry=Retry(attempts=2, delay=timedelta(0)))
    def find(self) -> Search | None:
        return Search() if self.start.fate == "unanswered" else None

    @find.compensate
    def stop_looking(self) -> PutBack:
        return PutBack(fate=self.start.fate)

    @step(retry=Retry(attempts=2, delay=timedelta(0)))
    def fetch(self) -> Fetch:
        return Fetch(fate=self.start.fate)

    @fetch.compensate(retry=PATIENT)
    def put_back(self) -> PutBack:
        return PutBack(fate=self.start.fate)

    @step(pivot=True)
    def deliver(self) -> Deliver:
        if self.start.fate == "broken":
            raise LookupError("no such address")
        return Deliver(fate=self.start.fate)

    @step(retry=PATIENT)
    def report(self) -> Report:
        return Report(fate=self.start.fate)


courier: Participant[None] = Participant("courier")


@courier.handles(Fetch)
async def fetch(command: Fetch, tx: Tx) -> None:
    if command.fate == "retrying":
        raise Failed("shut", "the shop is shut", retry_after=timedelta(hours=9))


@courier.handles(PutBack, undoes=Fetch)
async def put_back(command: PutBack, tx: Tx) -> None:
    if command.fate == "not undone":
        raise Rejected("sold", "the place on the shelf is taken")


@courier.handles(Deliver)
async def deliver(command: Deliver, tx: Tx) -> None:
    if command.fate in ("refused", "not undone"):
        raise Rejected("nobody", "nobody opened the door")


@courier.handles(Report)
async def report(command: Report, tx: Tx) -> None:
    if command.fate == "parked":
        raise Failed("printer", "the printer is out of paper")
