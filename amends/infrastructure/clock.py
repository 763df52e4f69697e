"""The machine's clock, and names that nobody has used before: the only dice that are rolled."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4


class SystemClock:
    """The `Clock` port on this machine's own time; for waiting, never for what is recorded."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Returns when so many seconds have passed."""
        await asyncio.sleep(seconds)


def fresh_name() -> str:
    """A name that was never given before."""
    return uuid4().hex
