"""What no tracked file may hold: the address of a package registry, or a path of somebody's machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each is put together here, so that this file does not hold it either.
REGISTRIES = ["py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js.org", "proxy.golang" + ".org"]
MACHINE_PATHS = [
    r"/ho" + r"me/\w",
    r"/Use" + r"rs/\w",
    r"/wor" + r"k/\w",
    r"/ro" + r"ot/\w",
    r"/tmp/" + r"t/",
]


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert paths, "git lists no files: this test needs a checkout"
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("needle", [re.escape(host) for host in REGISTRIES] + MACHINE_PATHS)
def test_no_tracked_file_holds(needle: str) -> None:
    pattern = re.compile(needle)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked_files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def test_every_requirement_is_pinned_with_hashes() -> None:
    for name in ("runtime.txt", "dev.txt", "bench.txt"):
        entries = re.split(r"\n(?=[a-z])", (ROOT / "requirements" / name).read_text())[1:]
        assert entries
        for entry in entries:
            assert re.match(r"[a-z0-9.-]+==\S+", entry), (
                f"requirements/{name}: not pinned: {entry.splitlines()[0]}"
            )
            assert "--hash=sha256:" in entry, f"requirements/{name}: without a hash: {entry.splitlines()[0]}"


def test_the_version_stands_in_the_changelog() -> None:
    from amends import __version__

    assert re.search(rf"^## \[?{re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
