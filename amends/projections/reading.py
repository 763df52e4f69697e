"""Reading your own action: waiting until the views show it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from amends.domain.errors import AmendsError
from amends.infrastructure.postgres.copies import channel
from amends.infrastructure.postgres.listening import listening
from amends.infrastructure.postgres.showing import Showing

_NAMES: Final = ("sagas",)


class NotShown(AmendsError):
    """The views did not show a saga's version within the time given; the action itself has been taken all the same."""


async def wait_until_shown(
    database_url: str,
    namespace: str,
    saga_id: UUID,
    version: int,
    *,
    timeout: timedelta = timedelta(seconds=5),
    projections: Sequence[str] = _NAMES,
) -> None:
    """Return when these projections show the saga at this version, or a later one. Raises `NotShown`."""
    told = asyncio.Event()
    try:
        async with (
            listening(database_url, channel(namespace), told.set, "amends views listen"),
            asyncio.timeout(timeout.total_seconds()),
            Showing.open(database_url, namespace) as showing,
        ):
            while not await showing.shows(saga_id, version, projections):
                await told.wait()
                told.clear()
    except TimeoutError:
        raise NotShown(
            f"expected the views to show version {version} of saga {saga_id} within {timeout}; they do not yet. "
            "`amends projections status` tells how far they are, `amends projections run` feeds them"
        ) from None
