"""Every projection that there is, and the views that need none."""

from __future__ import annotations

from typing import Final

from amends.projections.projection import Projection
from amends.projections.sagas import Sagas
from amends.projections.statistics import Statistics

PROJECTIONS: Final[tuple[Projection, ...]] = (Sagas(), Statistics())

STORE_VIEWS: Final = "amends.projections.views"
STORE_VIEWS_VERSION: Final = 4
"""Counts up with every change of the views over the store."""
