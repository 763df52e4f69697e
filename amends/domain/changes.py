"""How a change says that it leaves a field as it is, where None is a value of its own."""

from __future__ import annotations

from typing import Final


class Unset:
    """Nothing is said of the field."""


UNSET: Final = Unset()
