"""Messages made up from their types: one sample, and one more for each other choice that a field offers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject

_FORMATS: Final[Mapping[str, str]] = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00",
    "duration": "PT1H",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "email": "somebody@example.com",
    "uri": "https://example.com/",
    "ipv4": "127.0.0.1",
}


class NoSample(AmendsError):
    """No message of this type can be made up: a field wants more than its type says."""


def samples(kind: type[BaseModel]) -> Sequence[JsonObject]:
    """A message of this type as JSON, then one more for every other value of its booleans, literals, enums
    and optional fields. Raises `NoSample`.
    """
    schema = kind.model_json_schema()
    made: dict[str, JsonObject] = {}
    for sample in _Maker(schema.get("$defs", {})).samples(schema):
        try:
            message = kind.model_validate_json(json.dumps(sample))
        except ValidationError as error:
            if made:
                continue  # a validator excludes this combination
            raise NoSample(
                f"cannot make up a {kind.__name__}: {error.errors()[0]['msg']}; tried {sample}. "
                "Give its fields defaults, or give a start event of your own"
            ) from None
        body: JsonObject = message.model_dump(mode="json")
        made.setdefault(json.dumps(body, sort_keys=True), body)
    return list(made.values())


def choices(kind: type[BaseModel]) -> Sequence[tuple[str, JsonObject]]:
    """The samples, each with what it differs in from the first: nothing, or ` with gift=true`. Raises `NoSample`."""
    first, *others = samples(kind)
    return [("", first), *((_difference(first, other), other) for other in others)]


def alike(sample: JsonObject) -> JsonObject | None:
    """The same message with all its made-up texts equal; None: it has no two."""
    texts = [name for name, value in sample.items() if value == name]
    return {**sample, **dict.fromkeys(texts, "text")} if len(texts) > 1 else None


def _difference(first: JsonObject, other: JsonObject) -> str:
    changed = {name: value for name, value in other.items() if first.get(name) != value}
    return " with " + ", ".join(f"{name}={json.dumps(value)}" for name, value in changed.items())


class _Maker:
    """Makes values for JSON schemas; `defs` are those that others refer to, `inside` those being made.

    A text is the name of its field, so that no two fields are equal by chance.
    """

    def __init__(self, defs: Mapping[str, JsonObject], inside: frozenset[str] = frozenset()) -> None:
        self._defs = defs
        self._inside = inside

    def samples(self, schema: JsonObject, name: str = "text") -> list[Any]:
        """The first is the plainest; the others differ from it in one choice each."""
        if "$ref" in schema:
            return self._of_reference(_name(schema))
        if "const" in schema:
            return [schema["const"]]
        if "enum" in schema:
            return list(schema["enum"])
        options: list[JsonObject] = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []
        if options:
            return self._of_any(options, name)
        match schema.get("type"):
            case "object":
                return self._of_object(schema)
            case "array":
                return self._of_array(schema, name)
            case "string" | None:
                return _string(schema, name)
            case other:
                return _PLAIN[str(other)](schema)

    def _of_reference(self, name: str) -> list[Any]:
        if name in self._inside:
            return []  # a message may hold others like itself, but need not
        return _Maker(self._defs, self._inside | {name}).samples(self._defs[name])

    def _of_any(self, options: Sequence[JsonObject], name: str) -> list[Any]:
        """A number that may be written as text is one choice; a message or nothing are two."""
        if {option.get("type") for option in options} == {"number", "string"}:
            return self.samples(options[0])
        return [sample for option in options for sample in self.samples(option, name)]

    def _of_object(self, schema: JsonObject) -> list[Any]:
        properties: JsonObject = schema.get("properties", {})
        fields: dict[str, list[Any]] = {}
        for name, field in properties.items():
            given = [field["default"]] if "default" in field else []
            if given or name in schema.get("required", ()):
                fields[name] = [*given, *(each for each in self.samples(field, name) if each not in given)]
        plain = {name: choices[0] for name, choices in fields.items() if choices}
        return [plain, *self._variations(plain, fields, properties)]

    def _variations(
        self, plain: JsonObject, fields: Mapping[str, list[Any]], properties: JsonObject
    ) -> Iterator[JsonObject]:
        for name, choices in fields.items():
            if self._is_choice(properties[name]):
                yield from ({**plain, name: choice} for choice in choices[1:])

    def _is_choice(self, schema: JsonObject) -> bool:
        """Not a mere default beside a made-up value of the same kind."""
        if "$ref" in schema:
            return self._is_choice(self._defs[_name(schema)])
        nullable = any(option.get("type") == "null" for option in schema.get("anyOf", ()))
        return (
            nullable or "enum" in schema or "oneOf" in schema or schema.get("type") in ("boolean", "object")
        )

    def _of_array(self, schema: JsonObject, name: str) -> list[Any]:
        items = self.samples(schema.get("items", {}), name)
        return [items[:1] * max(1, schema.get("minItems", 0))]


def _name(schema: JsonObject) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _number(schema: JsonObject) -> list[Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low))
    return [min(low, high)]


def _string(schema: JsonObject, name: str) -> list[Any]:
    if "format" in schema:
        return [_FORMATS.get(schema["format"], name)]
    return [name.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]]


_PLAIN: Final[Mapping[str, Callable[[JsonObject], list[Any]]]] = {
    "integer": _number,
    "number": _number,
    "boolean": lambda _: [False, True],
    "null": lambda _: [None],
}
