"""What is written out for the compiler means what the dataclass means when it is interpreted."""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from compiling.modules import MODULES
from compiling.values import written_out

ROOT = Path(__file__).parents[2]

SOURCE = '''\
from __future__ import annotations

from dataclasses import dataclass, field

from amends.domain.value import Value, value


@value(frozen=True)
class Point(Value):
    """A place."""

    x: int
    y: int = 0  # upwards
    names: list[str] = field(default_factory=list[str])
    note: str = field(default="", compare=False)
    _kept: str = field(init=False, default="", compare=False, repr=False)

    def swapped(self) -> Point:
        return self.but(x=self.y, y=self.x)


@value(frozen=True, slots=True)
class Shape:
    """What is drawn."""

    at: Point
    colour: str = field(default="red", kw_only=True)


@value(frozen=True, slots=True)
class Circle(Shape):
    """A round one."""

    radius: int


@dataclass(frozen=True, slots=True)
class Canvas:
    """What shapes are drawn on."""

    shapes: tuple[Shape, ...]
    area: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "area", len(self.shapes))


@value(frozen=True, slots=True)
class Dot(Shape):
    """A small one."""
'''


def loaded(name: str, source: str) -> Iterator[ModuleType]:
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)
    yield module
    del sys.modules[name]


@pytest.fixture(params=["interpreted", "written out"])
def shapes(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from loaded("shapes", SOURCE if request.param == "interpreted" else written_out(SOURCE))


def test_a_value_is_made_of_its_fields_and_their_defaults(shapes: Any) -> None:
    point = shapes.Point(1, names=["a"])
    assert (point.x, point.y, point.names, point.note) == (1, 0, ["a"], "")
    assert shapes.Point(1).names == []
    assert shapes.Point(1).names is not shapes.Point(1).names


def test_a_value_is_changed_by_making_another(shapes: Any) -> None:
    point = shapes.Point(1, 2, note="n")
    other = point.but(x=3)
    assert (point.x, other.x, other.y, other.note) == (1, 3, 2, "n")
    assert point.swapped() == shapes.Point(2, 1)


def test_a_change_can_be_to_nothing(shapes: Any) -> None:
    assert shapes.Point(1).but(note=None).note is None


def test_what_is_kept_beside_the_fields_goes_along(shapes: Any) -> None:
    point = shapes.Point(1)
    object.__setattr__(point, "_kept", "something")
    assert point.but(x=2)._kept == "something"


def test_values_are_compared_hashed_and_shown_by_their_fields(shapes: Any) -> None:
    dot, other = shapes.Dot(shapes.Point(1, names=())), shapes.Dot(shapes.Point(1, names=(), note="n"))
    assert dot == other
    assert hash(dot) == hash(other)
    assert dot != shapes.Dot(shapes.Point(2, names=()))
    assert repr(dot) == "Dot(at=Point(x=1, y=0, names=(), note=''), colour='red')"


def test_a_value_that_inherits_fields_takes_them_first(shapes: Any) -> None:
    circle = shapes.Circle(shapes.Point(1), 5, colour="blue")
    assert (circle.at, circle.radius, circle.colour) == (shapes.Point(1), 5, "blue")
    assert dataclasses.replace(circle, radius=6).radius == 6


def test_its_fields_tell_their_defaults(shapes: Any) -> None:
    told: dict[str, Any] = {each.name: each for each in dataclasses.fields(shapes.Point)}
    assert (told["y"].default, told["names"].default_factory(), told["x"].default) == (
        0,
        [],
        dataclasses.MISSING,
    )
    assert not told["note"].compare
    assert [each.kw_only for each in dataclasses.fields(shapes.Circle)] == [False, True, False]


def test_what_is_no_parameter_is_made_anew_where_a_value_is_replaced(shapes: Any) -> None:
    dot = shapes.Dot(shapes.Point(1, names=()))
    canvas = shapes.Canvas((dot,))
    assert (canvas.area, dataclasses.replace(canvas, shapes=(dot, dot)).area) == (1, 2)
    assert hash(canvas) == hash(shapes.Canvas((dot,)))
    assert dataclasses.replace(shapes.Point(1), x=2).x == 2


@pytest.mark.parametrize("module", MODULES)
def test_every_statement_stays_on_its_line(module: str) -> None:
    source = (ROOT / module).read_text()
    assert functions(written_out(source)) >= functions(source)


def functions(source: str) -> set[tuple[str, int]]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {(node.name, node.lineno) for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)}
