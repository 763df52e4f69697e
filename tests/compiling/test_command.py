"""`make compile` says what it lacks, and touches nothing then."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from compiling.__main__ import CANNOT, main


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    assert main() == CANNOT
    assert "expected a C compiler, and no-such-compiler is not installed" in capsys.readouterr().err


def test_without_pythons_headers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", "sh")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert main() == CANNOT
    assert f"there is no {tmp_path}/Python.h; Amends runs without" in capsys.readouterr().err
