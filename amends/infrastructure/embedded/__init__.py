"""PostgreSQL and NATS without an installation: whichever of the two has no URL in the settings runs
embedded.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Never, Self
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from amends.infrastructure.embedded.databases import create_if_missing
from amends.infrastructure.errors import EmbeddedUnavailable
from amends.infrastructure.settings import Settings

if TYPE_CHECKING:
    from amends.infrastructure.embedded.folder import Folder
    from amends.infrastructure.embedded.link import KeeperLink

__all__ = ["Servers"]


class Servers:
    """The servers that the settings name; those that they do not name are embedded in `data_dir`.

    An async context manager. Embedded servers run for as long as any process on this machine has the
    folder's servers open, and are restarted if they die; clients need only reconnect. `on_progress` is
    told, in a few words, what a first start is busy with; it is called in the event loop.

    Entering raises EmbeddedUnavailable where embedded servers cannot run, and EmbeddedFailed where they do
    not start.
    """

    def __init__(self, settings: Settings, on_progress: Callable[[str], None] | None = None) -> None:
        self._settings = settings
        self._on_progress = on_progress
        self._link: KeeperLink | None = None
        self._folder: Folder | None = None

    async def __aenter__(self) -> Self:
        needs = [
            name
            for name, url in (("postgres", self._settings.database_url), ("nats", self._settings.nats_url))
            if url is None
        ]
        if needs:
            link = self._new_link(needs)
            try:
                await asyncio.to_thread(link.open)
                self._link = link
                if "postgres" in needs:
                    await create_if_missing(self.database_url, _database_of(self.database_url), "postgres")
            except BaseException:
                link.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._link:
            self._link.close()

    def _new_link(self, needs: list[str]) -> KeeperLink:
        if sys.platform == "win32":
            raise EmbeddedUnavailable(
                "The embedded servers run on Linux and macOS. Here, set AMENDS_DATABASE_URL and "
                "AMENDS_NATS_URL to "
                "servers of your own."
            )
        from amends.infrastructure.embedded.folder import Folder
        from amends.infrastructure.embedded.link import KeeperLink

        self._folder = Folder(self._settings.data_dir)
        return KeeperLink(self._folder, needs, self._settings.nats_sync_interval, self._progress_in_loop())

    def _progress_in_loop(self) -> Callable[[str], None] | None:
        loop, tell = asyncio.get_running_loop(), self._on_progress
        return None if tell is None else lambda text: _call_soon(loop, tell, text)

    @property
    def database_url(self) -> str:
        """PostgreSQL of the process manager. Raises EmbeddedFailed once embedded servers were given up."""
        return self._url(self._settings.database_url, "postgres")

    @property
    def nats_url(self) -> str:
        """NATS; several URLs with commas between, if the settings name several."""
        return self._url(self._settings.nats_url, "nats")

    def _url(self, given: SecretStr | None, name: str) -> str:
        if given is not None:
            return given.get_secret_value()
        if self._link is None:
            raise RuntimeError("Servers is a context manager: `async with Servers(settings) as servers:`")
        if self._link.failed.done():
            raise self._given_up()
        return str(self._link.servers[name]["url"])

    async def database(self, name: str) -> str:
        """The URL of the database `name` on the server of `database_url`, created if it is missing.

        Raises DatabaseNotCreated where the server does not permit that.
        """
        return await create_if_missing(self.database_url, name, _database_of(self.database_url))

    async def participant_database(self, participant: str) -> str:
        """The URL of a participant's own database.

        Of `participant_database_url`, used as it is, where that is set; else a database
        `NAMESPACE_PARTICIPANT` on the server of `database_url`, created if it is missing.
        """
        given = self._settings.participant_database_url
        if given is not None:
            return given.get_secret_value().replace("{name}", quote(participant, safe=""))
        return await self.database(f"{self._settings.namespace}_{participant}")

    async def watch(self) -> Never:
        """Wait until the embedded servers are given up, and raise EmbeddedFailed; wait for ever while they
        run.
        """
        loop = asyncio.get_running_loop()
        given_up = asyncio.Event()

        def pass_on(
            _: Future[None],
        ) -> None:  # not wrap_future: a cancelled wait would cancel what others await
            if not loop.is_closed():
                loop.call_soon_threadsafe(given_up.set)

        if self._link:
            self._link.failed.add_done_callback(pass_on)
        await given_up.wait()
        raise self._given_up()

    def _given_up(self) -> BaseException:
        error = self._link.failed.exception() if self._link else None
        assert error is not None
        return error

    @property
    def folder(self) -> Folder:
        """What lies where, for tests and diagnosis. Only where a server is embedded."""
        if self._folder is None:
            raise RuntimeError("No server is embedded: both URLs are set.")
        return self._folder

    @property
    def postgres_pid(self) -> int | None:
        """The embedded PostgreSQL; None: not embedded, or being restarted."""
        return self._pid("postgres")

    @property
    def nats_pid(self) -> int | None:
        """The embedded NATS server; None: not embedded, or being restarted."""
        return self._pid("nats")

    def _pid(self, name: str) -> int | None:
        found = self._link.servers.get(name) if self._link else None
        return found["pid"] if found else None


def _call_soon(loop: asyncio.AbstractEventLoop, tell: Callable[[str], None], text: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell, text)


def _database_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
