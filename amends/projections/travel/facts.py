"""A saga's state as JSON, and what differs between two states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, cast

from pydantic import BaseModel

from amends.domain.events import JsonObject
from amends.domain.seen import Seen
from amends.domain.state import SagaState

_TELLS_NOTHING: Final = frozenset({"at"})
"""Every event has a time; that it changed goes without saying."""

_ALWAYS: Final = frozenset({"status"})
"""Told even where it is as it was in the beginning."""


@dataclass(frozen=True)
class Change:
    """One fact that differs: where it stands, what it was and what it became; None where there was, or is, none."""

    path: str
    before: Any
    after: Any

    def as_json(self) -> JsonObject:
        return {"path": self.path, "before": self.before, "after": self.after}


def facts(state: SagaState) -> JsonObject:
    """All that is known of a saga, as JSON; what is still as it was in the beginning is left out."""
    plain: JsonObject = _plain(state)
    return plain


def changes(before: SagaState | None, after: SagaState | None) -> list[Change]:
    """What became different from one state to the other, in the order of their fields."""
    was = dict(_leaves(facts(before))) if before else {}
    became = dict(_leaves(facts(after))) if after else {}
    paths = [*became, *(path for path in was if path not in became)]
    return [
        Change(path, was.get(path), became.get(path))
        for path in paths
        if path not in _TELLS_NOTHING and was.get(path) != became.get(path)
    ]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        told = ((field.name, getattr(value, field.name)) for field in fields(value) if _tells(field, value))
        return {name: _plain(each) for name, each in told}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, dict | MappingProxyType):
        return _named(cast("JsonObject", value))
    if isinstance(value, set | frozenset | Seen):
        return sorted(_plain(each) for each in cast("frozenset[Any]", value))
    if isinstance(value, tuple | list):
        return _listed(list(cast("list[Any]", value)))
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _named(values: Mapping[Any, Any]) -> JsonObject:
    return {str(key): _plain(each) for key, each in values.items()}


def _listed(values: list[Any]) -> Any:
    """Rounds and attempts go by their number: so their place in a history is named, whatever came before."""
    if values and all(hasattr(each, "number") for each in values):
        return {str(each.number): _plain(each) for each in values}
    return [_plain(each) for each in values]


def _tells(field: Field[Any], value: Any) -> bool:
    came = getattr(value, field.name)
    if not field.compare:  # what is kept beside the facts, so that it is made once
        return False
    if field.name in _ALWAYS:
        return True
    if field.default is not MISSING:
        return bool(came != field.default)
    if field.default_factory is not MISSING:
        return bool(came != field.default_factory())
    # Number and name are what it is found by already.
    return came not in (None, "") and field.name not in ("number", "name")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, each in cast(JsonObject, value).items():
            yield from _leaves(each, f"{path}.{name}" if path else name)
    else:
        yield path, value
