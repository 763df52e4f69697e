"""A saga's design on paper: drawn from its recorded shape, so that no code is needed."""

from amends.projections.design.failure import Failure
from amends.projections.design.failures import failures
from amends.projections.design.outline import Design, NotADesign, outline

__all__ = ["Design", "Failure", "NotADesign", "failures", "outline"]
