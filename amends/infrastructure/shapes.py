"""Comparing the shape of a definition with the one that was recorded for its version."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from textwrap import shorten
from typing import Any, Final, cast

from amends.domain.definition import in_order
from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject

_MANY: Final = 5
_LONG: Final = 80
_ABSENT: Final = object()


class ShapeDiffers(AmendsError):
    """A definition is not what was recorded under its version. Sagas finish under the one they began with."""


def plain(shape: JsonObject) -> JsonObject:
    """The shape as it comes back from the store."""
    copied: JsonObject = json.loads(json.dumps(shape))
    return copied


def together(given: Sequence[JsonObject], recorded: Sequence[JsonObject]) -> Sequence[JsonObject]:
    """What is recorded once the given shapes are, too. Raises ShapeDiffers."""
    known = {(shape["saga"], shape["version"]): shape for shape in (*given, *recorded)}
    compare(given, list(known.values()))
    return list(known.values())


def compare(given: Sequence[JsonObject], recorded: Sequence[JsonObject]) -> None:
    """Raises ShapeDiffers where the recorded shape of the same saga type and version is another one."""
    known = {(shape["saga"], shape["version"]): shape for shape in recorded}
    for shape in given:
        name, version = shape["saga"], shape["version"]
        differences = list(
            islice(_differences(in_order(known[name, version]), in_order(plain(shape)), ""), _MANY + 1)
        )
        if differences:
            shown = "; ".join(differences[:_MANY]) + ("; and more" if len(differences) > _MANY else "")
            raise ShapeDiffers(
                f"saga {name!r} version {version}: expected the shape that was recorded when this version "
                f"was first used, but {shown}. Give the changed definition a new version, and keep this one "
                "until its sagas have ended"
            )


def _differences(recorded: Any, given: Any, path: str) -> Iterator[str]:
    if recorded == given:
        return
    if isinstance(recorded, dict) and isinstance(given, dict):
        yield from _of_objects(cast(JsonObject, recorded), cast(JsonObject, given), path)
    elif isinstance(recorded, list) and isinstance(given, list):
        pairs = zip_longest(cast("list[object]", recorded), cast("list[object]", given), fillvalue=_ABSENT)
        for place, (one, other) in enumerate(pairs):
            yield from _differences(one, other, f"{path}[{place}]")
    else:
        yield f"{path} was {_shown(recorded)} and is {_shown(given)}"


def _of_objects(recorded: JsonObject, given: JsonObject, path: str) -> Iterator[str]:
    for name in {**recorded, **given}:
        inner = f"{path}.{name}" if path else name
        yield from _differences(recorded.get(name, _ABSENT), given.get(name, _ABSENT), inner)


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False)
    return shorten(text, _LONG, placeholder="…")
