"""Statements kept in `.sql` files, with the schema filled in as a quoted identifier."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from psycopg import sql


@cache
def load(package: str, name: str, schema: str) -> bytes:
    """The statement `<name>.sql` of a package folder, ready to execute; `{schema}` in it names the schema."""
    return fill(package, name, schema=schema)


@cache
def fill(package: str, name: str, **schemas: str) -> bytes:
    """The text of `<name>.sql`, where `{x}` names the schema that is given as `x`."""
    text = files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    for placeholder, schema in schemas.items():
        text = text.replace(f"{{{placeholder}}}", sql.Identifier(schema).as_string(None))
    return text.encode()
