"""In which form the core runs."""

from __future__ import annotations

from typing import Final

from amends.domain import evolve

CORE: Final = "interpreted" if str(evolve.__file__).endswith(".py") else "compiled"
"""`compiled` where `make compile` made extension modules of it, else `interpreted`."""
