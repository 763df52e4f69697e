"""The keeper is shared, outlives no client, and brings back what dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import nats
import psycopg
import pytest

from amends.infrastructure.embedded import Servers, processes
from amends.infrastructure.embedded.folder import Folder
from amends.infrastructure.embedded.keeper import Keeper
from amends.infrastructure.errors import EmbeddedFailed
from amends.infrastructure.settings import Settings

from .conftest import StartClient, alive, parent_of, reached, until, wait_for_stop


async def query(url: str, statement: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


def test_processes_that_start_at_once_share_one_keeper_and_the_last_one_stops_it(
    data_dir: Path, start_client: StartClient
) -> None:
    first, second, third = [reached(process) for process in [start_client() for _ in range(3)]]
    found = {(one.database_url, one.nats_url, one.postgres, one.nats) for one in (first, second, third)}
    assert len(found) == 1
    keeper = parent_of(first.postgres)
    assert keeper == parent_of(first.nats)
    # Ctrl-C goes to the processes of the terminal's session: to the clients, and to nothing of the servers.
    assert len({os.getsid(pid) for pid in (keeper, first.postgres, first.nats)} | {first.session}) == 4

    first.leave()
    second.kill()
    assert alive(first.postgres)
    assert alive(first.nats)
    third.kill()
    wait_for_stop(data_dir)
    assert not alive(first.postgres)
    assert not alive(first.nats)
    assert (data_dir / ".gitignore").read_text() == "*\n"


async def test_data_addresses_and_modes_of_the_folders_above_stay(data_dir: Path) -> None:
    modes = [folder.stat().st_mode for folder in data_dir.parents]
    async with Servers(Settings(data_dir=data_dir)) as servers:
        before = (servers.database_url, servers.nats_url)
        await query(before[0], "CREATE TABLE kept AS SELECT 7")
    wait_for_stop(data_dir)
    said: list[str] = []
    async with Servers(Settings(data_dir=data_dir), said.append) as servers:
        assert (servers.database_url, servers.nats_url) == before
        assert await query(before[0], "SELECT * FROM kept") == [(7,)]
    assert "starting PostgreSQL" in said
    assert [folder.stat().st_mode for folder in data_dir.parents] == modes


async def test_a_client_that_comes_while_the_servers_stop_waits_for_the_next(
    data_dir: Path,
) -> None:
    async with Servers(Settings(data_dir=data_dir)) as servers:
        first = servers.postgres_pid
        assert first
    await until(lambda: not Folder(data_dir).keeper_socket.exists())
    async with Servers(Settings(data_dir=data_dir)) as servers:
        assert servers.postgres_pid != first
        assert await query(servers.database_url, "SELECT 1") == [(1,)]


async def test_a_client_whose_wish_is_read_when_the_servers_are_to_stop_is_not_told_of_them(
    data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keeper, path = Keeper(Folder(data_dir)), tmp_path_factory.mktemp("k") / "socket"
    wish = b'{"needs": [], "sync_interval": "1s"}\n'
    async with await asyncio.start_unix_server(keeper._serve, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(wish)
        assert await reader.readline() == b'{"servers": {}}\n'
        late, late_writer = await asyncio.open_unix_connection(path)
        keeper._finish()
        late_writer.write(wish)
        assert await late.read() == b""
        writer.close()
        late_writer.close()


async def test_a_start_that_is_cancelled_lets_go_of_the_servers(data_dir: Path) -> None:
    said = asyncio.Event()
    start = asyncio.create_task(Servers(Settings(data_dir=data_dir), lambda _: said.set()).__aenter__())
    await said.wait()
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    await asyncio.to_thread(wait_for_stop, data_dir)
    async with Servers(Settings(data_dir=data_dir)) as servers:
        assert await query(servers.database_url, "SELECT 1") == [(1,)]


async def test_a_second_sync_interval_for_the_same_server_is_not_passed_over_in_silence(
    data_dir: Path,
) -> None:
    said: list[str] = []
    async with (
        Servers(Settings(data_dir=data_dir, nats_sync_interval="always")) as servers,
        Servers(Settings(data_dir=data_dir), said.append),
    ):
        assert 'sync_interval: "always"' in (servers.folder.home / "nats.conf").read_text()
    assert said == ["NATS runs with the sync interval of its first client, always"]


async def test_servers_killed_are_back_at_the_same_address(data_dir: Path) -> None:
    async with Servers(Settings(data_dir=data_dir)) as servers:
        before = (servers.database_url, servers.nats_url, servers.postgres_pid, servers.nats_pid)
        await query(servers.database_url, "CREATE TABLE kept AS SELECT 7")
        client = await nats.connect(servers.nats_url)
        await client.jetstream().add_stream(name="lost", subjects=["lost"])
        await client.close()

        assert before[2]
        assert before[3]
        servers.folder.nats_store.rename(servers.folder.nats_store.with_name("lost"))
        os.kill(before[2], signal.SIGKILL)
        os.kill(before[3], signal.SIGKILL)
        await until(
            lambda: (
                servers.postgres_pid not in {None, before[2]} and servers.nats_pid not in {None, before[3]}
            )
        )

        assert (servers.database_url, servers.nats_url) == before[:2]
        assert await query(servers.database_url, "SELECT * FROM kept") == [(7,)]
        client = await nats.connect(servers.nats_url)
        assert (await client.jetstream().account_info()).streams == 0
        await client.close()


async def test_a_killed_keeper_is_replaced_and_its_servers_too(data_dir: Path) -> None:
    async with Servers(Settings(data_dir=data_dir)) as servers:
        before = (servers.database_url, servers.nats_url, servers.postgres_pid, servers.nats_pid)
        assert before[2]
        assert before[3]
        keeper = parent_of(before[2])
        os.kill(keeper, signal.SIGKILL)
        await until(
            lambda: (
                servers.postgres_pid not in {None, before[2]} and servers.nats_pid not in {None, before[3]}
            )
        )
        assert not alive(before[2])
        assert not alive(before[3])
        assert (servers.database_url, servers.nats_url) == before[:2]
        assert await query(servers.database_url, "SELECT 1") == [(1,)]


async def test_a_start_after_everything_was_killed_at_once(data_dir: Path, start_client: StartClient) -> None:
    client = reached(start_client())
    keeper = parent_of(client.postgres)
    # A keeper that is stopped neither restarts its servers nor takes them along before their turn.
    os.kill(keeper, signal.SIGSTOP)
    for pid in (client.postgres, client.nats, keeper):
        os.kill(pid, signal.SIGKILL)
    client.kill()
    lock = Folder(data_dir).postgres_data / "postmaster.pid"
    assert lock.exists()
    # As if the pid had been given to another program of the same user meanwhile.
    lock.write_text("\n".join([str(os.getpid()), *lock.read_text().splitlines()[1:]]) + "\n")
    async with Servers(Settings(data_dir=data_dir)) as servers:
        assert servers.nats_url == client.nats_url
        assert await query(servers.database_url, "SELECT 1") == [(1,)]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells a server of its keeper's death")
async def test_keeper_and_client_killed_leave_no_server_behind(start_client: StartClient) -> None:
    client = reached(start_client())
    client.process.kill()
    os.kill(parent_of(client.postgres), signal.SIGKILL)
    await until(lambda: not alive(client.postgres) and not alive(client.nats))


async def test_a_server_that_does_not_stay_up_is_given_up_with_its_log(data_dir: Path) -> None:
    async with Servers(Settings(data_dir=data_dir)) as servers:
        watched = asyncio.create_task(servers.watch())
        await asyncio.sleep(0)
        watched.cancel()  # which must not cost the next one its news
        (servers.folder.postgres_data / "PG_VERSION").write_text("3\n")
        assert servers.postgres_pid
        os.kill(servers.postgres_pid, signal.SIGKILL)
        with pytest.raises(EmbeddedFailed, match=r"postgres was expected to run(.|\n)*incompatible"):
            await servers.watch()
        with pytest.raises(EmbeddedFailed, match="postgres was expected to run"):
            await servers.database("none")
    with pytest.raises(EmbeddedFailed, match="database files are incompatible"):
        await Servers(Settings(data_dir=data_dir)).__aenter__()


def test_a_server_of_a_dead_keeper_is_ended_but_never_another_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        since = processes.begun(process.pid)
        assert since
        processes.stop(process.pid, "another time", signal.SIGKILL, 1)
        assert process.poll() is None
        processes.stop(process.pid, since, signal.SIGTERM, 10)
        assert process.wait() == -signal.SIGTERM
