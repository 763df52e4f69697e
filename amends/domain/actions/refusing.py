"""What refusals have in common."""

from __future__ import annotations

from amends.domain.state import SagaState


def name(state: SagaState) -> str:
    """The saga as an operator knows it: `order 'o-1'`."""
    return f"{state.saga} {state.key!r}"
