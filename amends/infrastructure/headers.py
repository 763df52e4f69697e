"""Headers as the lines that travel: written once, and read only where somebody looks into them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic_core import to_json

_JSON: Final = "{"


class Headers(Mapping[str, str]):
    """Headers that are known to travel as they are, as one text: `Name: value` and a line break for each."""

    __slots__ = ("_fields", "lines")

    def __init__(self, lines: bytes) -> None:
        self.lines = lines
        self._fields: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return f"Headers({self._read()})"

    def _read(self) -> dict[str, str]:
        if self._fields is None:
            self._fields = fields(self.lines.decode())
        return self._fields


def template(*names: str) -> str:
    """The lines of these headers, to be completed by `template % values`."""
    return "".join(f"{name}: %s\r\n" for name in names)


def plain(headers: Mapping[str, str]) -> Headers:
    """Headers of which each name and value is known to travel as it is."""
    return Headers("\r\n".join((*map(": ".join, headers.items()), "")).encode())


def fields(lines: str) -> dict[str, str]:
    """What headers say."""
    found: dict[str, str] = {}
    for line in lines.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name] = value.strip()
    return found


def stored(headers: Mapping[str, str]) -> bytes:
    """Headers as an outbox keeps them: their lines; as a JSON object where nobody has seen yet whether they travel."""
    return headers.lines if isinstance(headers, Headers) else to_json(headers)


def restored(text: str) -> Mapping[str, str]:
    """Headers that were `stored`."""
    if text.startswith(_JSON):
        given: dict[str, str] = json.loads(text)
        return given
    return Headers(text.encode())
