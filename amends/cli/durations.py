"""Lengths of time as they are typed."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import typer

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """`90s`, `5m`, `2h` or `3d`; for use as a parser of an option."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text.strip())
    if match is None:
        raise typer.BadParameter(f"expected a length of time like 90s, 5m, 2h or 3d; got {text!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
