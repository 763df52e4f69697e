"""`python -m amends.examples.flash_sale 10000`: the sale as a program."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from datetime import timedelta

from rich.console import Console

from amends import Settings
from amends.examples.flash_sale.saga import INVENTORY
from amends.examples.flash_sale.sale import Result, sale
from amends.infrastructure.clock import SystemClock

out = Console()


async def _run(orders: int) -> Result:
    clock = SystemClock()
    begun = clock.now()

    def told(statuses: Counter[str]) -> None:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        out.print(f"{(clock.now() - begun) / timedelta(seconds=1):6.1f} s  {counts}", highlight=False)

    with_stock = orders * 2 // 3
    return await sale(Settings(log_level="error"), orders, with_stock, told)


def main() -> None:
    """Sell to so many customers as the first argument says, 10,000 without one."""
    result = asyncio.run(_run(int(sys.argv[1]) if sys.argv[1:] else 10_000))
    out.print(
        f"stock: {result.delivered} delivered, {len(result.reserved)} sold, {result.left_over} left over"
    )
    out.print(f"reservations: {result.commands} commands, at most {result.at_once} at once ({INVENTORY})")
    out.print("the books balance" if result.balances else "THE BOOKS DO NOT BALANCE")
    sys.exit(0 if result.balances else 1)


if __name__ == "__main__":
    main()
