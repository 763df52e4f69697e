"""The failure table of a process manager: of each command that its handlers were seen to send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amends.projections.design.conduct import Deeds, Sent
from amends.projections.design.failure import (
    COMPENSATED,
    Cause,
    Chain,
    Failure,
    Undo,
    closing,
    forward_only,
    turned_back,
    unanswered,
)
from amends.projections.design.handler_flow import Flow
from amends.projections.design.outline import Design, duration


def handler_failures(design: Design) -> Sequence[Failure]:
    """Every row, in the order in which the commands are sent; none where no handler was seen at work."""
    if design.conduct is None or not design.conduct.sends:
        return []
    flow = Flow(design)
    sends = design.conduct.sends
    rows = [row for sent in sends for row in _of_send(flow, sent)]
    pivots = dict.fromkeys(sent.name for sent in sends if sent.pivot)
    return [*rows, *turned_back(" or ".join(pivots), design.deadline, _everything(flow))]


def decisions(deeds: Deeds) -> Iterator[str]:
    """What a handler does, a line each."""
    yield from dict.fromkeys(
        f"sends {sent.subject}{' (pivot)' if sent.pivot else ''}" for sent in deeds.sends
    )
    yield from (f"publishes {subject}" for subject in deeds.publishes)
    yield from (f"asks for the timeout {name} in {duration(after)}" for name, after in deeds.timeouts.items())
    yield from (f"turns back: {reason}" for reason in deeds.turns_back)
    if deeds.completes:
        yield "completes"


def _of_send(flow: Flow, sent: Sent) -> Iterator[Failure]:
    if flow.after_pivot(sent):
        yield forward_only(sent.name, sent.attempts)
        return
    yield _rejected(flow, sent)
    if sent.pivot:
        yield from closing(sent.name, sent.subject.partition(".")[0], sent.attempts)
    else:
        chain = _chain(flow, sent, itself=True)
        yield Failure(sent.name, unanswered(sent.attempts), chain, COMPENSATED, Cause.UNANSWERED)


def _rejected(flow: Flow, sent: Sent) -> Failure:
    told = next((each for each in flow.handlers if each.trigger == ("rejected", sent.subject)), None)
    if told is None:
        return Failure(sent.name, "rejected", _chain(flow, sent), COMPENSATED, Cause.REJECTED)
    does = ", ".join(decisions(flow.deeds(told))) or "does nothing"
    return Failure(sent.name, "rejected", (), f"{told.name} decides: {does}")


def _everything(flow: Flow) -> Chain:
    """All that can be undone; what is sent at every start, surely."""
    orders = [order for order in flow.conduct.orders if order]
    return tuple(
        (Undo(either[0].name, either[0].undo, all(_holds(order, either) for order in orders)),)
        for either in reversed(_alternatives(flow))
    )


def _chain(flow: Flow, failed: Sent, *, itself: bool = False) -> Chain:
    """What is undone when this fails: all that was sent, the latest first."""
    orders = [order for order in flow.conduct.orders if failed in order]
    chain: list[tuple[Undo, ...]] = []
    for either in reversed(_alternatives(flow)):
        always = all(_holds(order, either) for order in orders)
        if failed in either:
            chain += [(Undo(failed.name, failed.undo),)] if itself else []
        elif any(_holds(order[: order.index(failed)], either) for order in orders):
            chain.append((Undo(either[0].name, either[0].undo, always),))
        elif any(_holds(order, either) for order in orders) and not _needs(flow, either, failed):
            senders = flow.senders(failed)
            at_once = any(handler in senders for sent in either for handler in flow.senders(sent))
            chain.append((Undo(either[0].name, either[0].undo, always and at_once),))
    return tuple(chain)


def _alternatives(flow: Flow) -> Sequence[Sequence[Sent]]:
    """The sends that can be undone, in their order; those undone alike of which no saga sends two are one."""
    found: list[list[Sent]] = []
    for sent in flow.conduct.sends:
        alike = (
            each
            for each in found
            if each[0].undo == sent.undo and not any(flow.conduct.together(sent, other) for other in each)
        )
        either = next(alike, None)
        if either is not None:
            either.append(sent)
        elif sent.undo:
            found.append([sent])
    return found


def _holds(order: Sequence[Sent], either: Sequence[Sent]) -> bool:
    return any(sent in order for sent in either)


def _needs(flow: Flow, either: Sequence[Sent], earlier: Sent) -> bool:
    """It is sent only when the other has succeeded."""
    return all(earlier in flow.answered(handler) for sent in either for handler in flow.senders(sent))
