"""What the errand is to become: a candidate for `amends whatif`. Runs as a user's module."""

from __future__ import annotations

from errands import Asked, Errand  # type: ignore[import-not-found]

from amends import Command, Saga, step


class Thank(Command, subject="courier.thank"):
    errand: str


class Same(Saga[Asked], name="errand", version=2, key="errand"):
    """As it was."""

    find, fetch, deliver, report = Errand.find, Errand.fetch, Errand.deliver, Errand.report


class Polite(Saga[Asked], name="errand", version=2, key="errand"):
    """Thanks the courier at last."""

    find, fetch, deliver, report = Errand.find, Errand.fetch, Errand.deliver, Errand.report

    @step
    def thank(self) -> Thank:
        return Thank(errand=self.key)
