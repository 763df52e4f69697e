"""Messages made up from their types."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, field_validator

from amends import Event
from amends.testing.exploring.samples import NoSample, samples


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    quantity: int = Field(gt=3)
    sku: str = Field(min_length=6)


class Placed(Event, subject="shop.placed"):
    id: UUID
    at: datetime
    total: Decimal
    lines: list[Line] = Field(min_length=2)
    note: str = "none"


def test_every_kind_of_field_has_a_value_that_its_type_accepts() -> None:
    (sample,) = samples(Placed)
    placed = Placed.model_validate(sample)
    assert [line.quantity for line in placed.lines] == [4, 4]
    assert placed.note == "none"


def test_each_choice_is_tried_and_the_rest_stays_as_it_is() -> None:
    class Choosing(Event, subject="shop.choosing"):
        colour: Colour
        method: Literal["card", "transfer"] = "transfer"
        gift: bool = False
        address: str | None

    made = [Choosing.model_validate(sample) for sample in samples(Choosing)]
    assert {(m.colour, m.method, m.gift, m.address) for m in made} == {
        ("red", "transfer", False, "address"),
        ("blue", "transfer", False, "address"),
        ("red", "card", False, "address"),
        ("red", "transfer", True, "address"),
        ("red", "transfer", False, None),
    }


def test_what_cannot_be_made_up_is_told_with_its_mend() -> None:
    class Odd(Event, subject="shop.odd"):
        code: str

        @field_validator("code")
        @classmethod
        def checked(cls, code: str) -> str:
            if not code.startswith("X-"):
                raise ValueError("expected X-…")
            return code

    with pytest.raises(NoSample, match=r"cannot make up a Odd: .*expected X-.* Give its fields defaults"):
        samples(Odd)


def test_no_two_texts_are_equal_by_chance() -> None:
    class Moved(Event, subject="plans.moved"):
        old: str
        new: str

    assert samples(Moved) == [{"old": "old", "new": "new"}]
