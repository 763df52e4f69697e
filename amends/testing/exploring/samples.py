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
    every = _samples(schema, schema.get("$defs", {}), frozenset())
    made: dict[str, JsonObject] = {}
    for sample in every:
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


_Defs = Mapping[str, Any]


def _samples(schema: JsonObject, defs: _Defs, inside: frozenset[str]) -> list[Any]:
    """The first is the plainest; the others differ from it in one choice each."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [] if name in inside else _samples(defs[name], defs, inside | {name})
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return list(schema["enum"])
    for one_of in ("anyOf", "oneOf"):
        if one_of in schema:
            return _of_any(schema[one_of], defs, inside)
    if "allOf" in schema:
        return _samples(
            {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}, defs, inside
        )
    return _TYPES.get(schema.get("type", "string"), _of_string)(schema, defs, inside)


def _of_any(options: Sequence[JsonObject], defs: _Defs, inside: frozenset[str]) -> list[Any]:
    """A number that may be written as text is one choice, and so is a message or nothing two."""
    kinds = {option.get("type") for option in options}
    if kinds == {"number", "string"}:
        return _samples(options[0], defs, inside)
    return [sample for option in options for sample in _samples(option, defs, inside)]


def _of_object(schema: JsonObject, defs: _Defs, inside: frozenset[str]) -> list[Any]:
    required = set(schema.get("required", ()))
    fields: dict[str, list[Any]] = {}
    for name, field in schema.get("properties", {}).items():
        given = [field["default"]] if "default" in field else []
        if name in required or given:
            fields[name] = [*given, *(s for s in _samples(field, defs, inside) if s not in given)]
    plain = {name: choices[0] for name, choices in fields.items() if choices}
    return [plain, *_variations(plain, fields, schema.get("properties", {}), defs)]


def _variations(
    plain: JsonObject, fields: Mapping[str, list[Any]], schemas: JsonObject, defs: _Defs
) -> Iterator[JsonObject]:
    for name, choices in fields.items():
        if _is_choice(schemas[name], defs):
            yield from ({**plain, name: choice} for choice in choices[1:])


def _is_choice(schema: JsonObject, defs: _Defs) -> bool:
    """Not a mere default beside a made-up value of the same kind."""
    if "$ref" in schema:
        return _is_choice(defs[schema["$ref"].rpartition("/")[2]], defs)
    options = schema.get("anyOf") or schema.get("oneOf") or ()
    nullable = any(option.get("type") == "null" for option in options)
    return "enum" in schema or schema.get("type") in ("boolean", "object") or nullable or "oneOf" in schema


def _of_array(schema: JsonObject, defs: _Defs, inside: frozenset[str]) -> list[Any]:
    items = _samples(schema.get("items", {}), defs, inside)
    count = max(1, schema.get("minItems", 0))
    return [items[:1] * count] if items else [[]]


def _of_number(schema: JsonObject, defs: _Defs, inside: frozenset[str]) -> list[Any]:
    del defs, inside
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return [low if high is None or low <= high else high]


def _of_string(schema: JsonObject, defs: _Defs, inside: frozenset[str]) -> list[Any]:
    del defs, inside
    if "format" in schema:
        return [_FORMATS.get(schema["format"], "text")]
    return ["text".ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]]


def _of_boolean(schema: JsonObject, defs: _Defs, inside: frozenset[str]) -> list[Any]:
    del schema, defs, inside
    return [False, True]


def _of_null(schema: JsonObject, defs: _Defs, inside: frozenset[str]) -> list[Any]:
    del schema, defs, inside
    return [None]


_TYPES: Final[Mapping[str, Callable[[JsonObject, _Defs, frozenset[str]], list[Any]]]] = {
    "object": _of_object,
    "array": _of_array,
    "integer": _of_number,
    "number": _of_number,
    "string": _of_string,
    "boolean": _of_boolean,
    "null": _of_null,
}
