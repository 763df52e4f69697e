"""Writes out what dataclasses get when a program runs: a compiler can only compile what it reads.

mypyc keeps the `__init__` of a dataclass interpreted, and knows nothing of `Value.but`. With both in the text they
become a few machine instructions for each field. Equality, hash and `repr` stay those that `dataclass` makes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_DECORATORS: Final = frozenset({"value", "dataclass"})
_LITERALS: Final = {"dict": "{}", "list": "[]", "set": "set()"}
_UNSET: Final = (
    "from dataclasses import dataclass as written_out; "
    "from amends.domain.changes import UNSET as UNCHANGED, Unset as Unchanged"
)


@dataclass(frozen=True)
class Field:
    """A field of a dataclass, as its class declares it."""

    name: str
    kind: str
    default: str = ""
    factory: str = ""
    init: bool = True
    keyword: bool = False

    @property
    def parameter(self) -> str:
        """What `__init__` takes for it."""
        if self.factory:
            return f"{self.name}: {self.kind} | None = None"
        return f"{self.name}: {self.kind}" + (f" = {self.default}" if self.default else "")

    @property
    def assigned(self) -> str:
        """What `__init__` does with it."""
        given = self.name if self.init else self.default
        if self.factory:
            given = f"{_made(self.factory)} if {self.name} is None else {self.name}"
        return f"self.{self.name} = {given}"


def written_out(source: str) -> str:
    """The same module with these methods written out, each statement on the line that it was on."""
    lines = source.split("\n")
    known: dict[str, Sequence[Field]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and (decorator := _decorator(node)) is not None:
            inherited = [field for base in node.bases for field in known.get(ast.unparse(base), ())]
            own = list(_fields(node))
            known[node.name] = [*inherited, *own]
            lines[decorator.lineno - 1] = _decoration(decorator) if own else ""
            if own:
                _write_out(lines, node, own, known[node.name])
    return _importing("\n".join(lines)) if known else source


def _write_out(lines: list[str], node: ast.ClassDef, own: Sequence[Field], fields: Sequence[Field]) -> None:
    methods = [_init(node, fields)]
    if any(ast.unparse(base) == "Value" for base in node.bases):
        methods.append(_but(node, fields))
        start = node.lineno - 1
        lines[start] = lines[start].replace("(Value)", "")
    declared = [statement for statement in node.body if isinstance(statement, ast.AnnAssign)]
    # From behind the docstring, so that there is a line for each of them.
    first, last = node.body[0].end_lineno, declared[-1].end_lineno
    assert first is not None
    assert last is not None
    written = ["    " + "; ".join(ast.unparse(statement) for statement in declared), *methods]
    room = last - first
    assert len(written) <= room, f"{node.name}: no room for {len(written)} lines in {room}"
    lines[first:last] = written + [""] * (room - len(written))


def _init(node: ast.ClassDef, fields: Sequence[Field]) -> str:
    taken = [field for field in fields if field.init]
    parameters = ["self", *(field.parameter for field in taken if not field.keyword)]
    keywords = [field.parameter for field in taken if field.keyword]
    if keywords:
        parameters += ["*", *keywords]
    body = [field.assigned for field in fields if field.init or field.default]
    if any(isinstance(each, ast.FunctionDef) and each.name == "__post_init__" for each in node.body):
        body.append("self.__post_init__()")
    return f"    def __init__({', '.join(parameters)}) -> None: {'; '.join(body)}"


def _but(node: ast.ClassDef, fields: Sequence[Field]) -> str:
    changeable = [field for field in fields if field.init]
    parameters = ", ".join(f"{f.name}: {f.kind} | Unchanged = UNCHANGED" for f in changeable)
    values = ", ".join(
        f"{f.name}=self.{f.name} if isinstance({f.name}, Unchanged) else {f.name}" for f in changeable
    )
    kept = "".join(f"; made.{f.name} = self.{f.name}" for f in fields if not f.init)
    return (
        f"    def but(self, *, {parameters}) -> {node.name}: made = {node.name}({values}){kept}; return made"
    )


def _fields(node: ast.ClassDef) -> Iterator[Field]:
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign):
            name, kind = ast.unparse(statement.target), ast.unparse(statement.annotation)
            yield _field(name, kind, statement.value)


def _field(name: str, kind: str, value: ast.expr | None) -> Field:
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "field"):
        return Field(name, kind, ast.unparse(value) if value else "")
    given = {each.arg: ast.unparse(each.value) for each in value.keywords}
    return Field(
        name,
        kind,
        default=given.get("default", ""),
        factory=given.get("default_factory", ""),
        init=given.get("init") != "False",
        keyword=given.get("kw_only") == "True",
    )


def _made(factory: str) -> str:
    """What a factory makes: an expression that a type checker sees through."""
    if factory.startswith("lambda: "):
        return factory.removeprefix("lambda: ")
    return _LITERALS.get(factory.partition("[")[0]) or f"{factory}()"


def _decorator(node: ast.ClassDef) -> ast.expr | None:
    return next((each for each in node.decorator_list if _name(each) in _DECORATORS), None)


def _decoration(decorator: ast.expr) -> str:
    """Without slots and guards, which a compiled class has no need of."""
    return "@written_out(unsafe_hash=True)" if "frozen=True" in ast.unparse(decorator) else "@written_out"


def _name(decorator: ast.expr) -> str:
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)


def _importing(source: str) -> str:
    future = "from __future__ import annotations"
    assert future in source
    return source.replace(future, f"{future}; {_UNSET}", 1)
