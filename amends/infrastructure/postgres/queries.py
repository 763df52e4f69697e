"""Statements kept in `.sql` files, with the schema filled in as a quoted identifier."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from psycopg import sql


@cache
def load(package: str, name: str, schema: str) -> bytes:
    """The statement `<name>.sql` of a package folder, ready to execute; `{schema}` in it names the schema."""
    text = files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return text.replace("{schema}", sql.Identifier(schema).as_string(None)).encode()
