"""Where the data lies: for root and others, in long paths and private ones."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from amends.infrastructure.embedded import Servers, programs
from amends.infrastructure.embedded.account import server_account
from amends.infrastructure.embedded.folder import Folder
from amends.infrastructure.errors import EmbeddedUnavailable
from amends.infrastructure.settings import Settings

from .conftest import StartClient, reached

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account for its servers")


def as_user(uid: int, gid: int) -> tuple[str, ...]:
    """Runs a command as that user, who may read what root can, for Python itself may be out of reach; not
    write.
    """
    user = ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
    return (*user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


async def answers(servers: Servers) -> None:
    async with await psycopg.AsyncConnection.connect(servers.database_url) as connection:
        await connection.execute("SELECT 1")


async def test_sockets_of_a_folder_with_a_long_path_are_elsewhere_and_private(parent: Path) -> None:
    path = parent / ("long" * 30) / ".amends"
    async with Servers(Settings(data_dir=path)) as servers:
        await answers(servers)
        sockets = servers.folder.sockets
        assert path not in sockets.parents
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert not sockets.parent.stat().st_mode & 0o066
        assert servers.folder.keeper_socket.stat().st_mode & 0o777 == 0o600
    Folder(path).delete()
    assert not sockets.exists()


@as_root
async def test_root_keeps_data_within_the_account_s_reach_and_changes_no_folder_above(
    parent: Path,
) -> None:
    private = parent / "private"
    private.mkdir(mode=0o700)
    path = private / "project" / ".amends"
    path.parent.mkdir()
    modes = [folder.stat().st_mode for folder in path.parents]
    async with Servers(Settings(data_dir=path)) as servers:
        await answers(servers)
        home = servers.folder.home
        assert path not in home.parents
        assert servers.folder.postgres_data.stat().st_mode & 0o777 == 0o700
        assert [folder.stat().st_mode for folder in path.parents] == modes
    Folder(path).delete()
    assert not home.exists()


@as_root
async def test_a_home_that_is_gone_is_not_replaced_by_an_empty_one(data_dir: Path) -> None:
    Folder(data_dir).write("folder", home="/nowhere/amends")
    with pytest.raises(EmbeddedUnavailable, match="was kept in /nowhere/amends, and that folder is gone"):
        await Servers(Settings(data_dir=data_dir)).__aenter__()


@as_root
def test_programs_out_of_the_account_s_reach_are_copied(parent: Path) -> None:
    account = server_account()
    assert account
    hidden = parent / "hidden"
    for program in (programs.postgres(), programs.nats()):
        for name in program.needs:
            (hidden / name).parent.mkdir(parents=True, exist_ok=True)
            if (program.root / name).is_dir():
                shutil.copytree(program.root / name, hidden / name)
            else:
                shutil.copy(program.root / name, hidden / name)
        hidden.chmod(0o700)
        unreachable = programs.Program(hidden, program.executable, program.needs, program.release)
        reachable = programs.within_reach(unreachable, account, parent)
        assert reachable.root == parent / "programs" / program.release
        assert account.can_run(reachable.path)
    assert hidden.stat().st_mode & 0o777 == 0o700


def test_programs_within_reach_are_not_copied(parent: Path) -> None:
    program = programs.nats()
    assert programs.within_reach(program, None, parent) is program


@as_root
def test_an_ordinary_user_has_everything_in_the_folder(start_client: StartClient, parent: Path) -> None:
    user = pwd.getpwnam("daemon")
    os.chown(parent, user.pw_uid, user.pw_gid)
    path = parent / ".amends"
    client = reached(start_client(path, as_user(user.pw_uid, user.pw_gid)))
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in (client.postgres, client.nats)} == {user.pw_uid}
    with pytest.raises(EmbeddedUnavailable, match=f"belongs to user {user.pw_uid}, and this is user 0"):
        Folder(path)
    client.leave()


@as_root
def test_a_user_without_a_name_is_told_how_to_mend_it(start_client: StartClient, parent: Path) -> None:
    os.chown(parent, 54321, 54321)
    client = start_client(parent / ".amends", as_user(54321, 54321), stderr=subprocess.PIPE)
    assert "user 54321 has none on this machine: add a line for it to /etc/passwd" in client.communicate()[1]


def test_without_the_packages_the_two_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    for locate in (programs.postgres, programs.nats):
        with pytest.raises(EmbeddedUnavailable) as caught:
            locate()
        assert "AMENDS_DATABASE_URL and AMENDS_NATS_URL" in str(caught.value)
        assert "amends[embedded]" in str(caught.value)
