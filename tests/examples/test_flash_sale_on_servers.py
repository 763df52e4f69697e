"""The flash sale on PostgreSQL and NATS, smaller: an inventory that breaks down, and limits that keep it alive."""

from __future__ import annotations

import pytest

from amends import Settings
from amends.examples.flash_sale.saga import INVENTORY
from amends.examples.flash_sale.sale import sale
from amends.infrastructure.embedded import Servers

ORDERS, STOCK = 300, 200


@pytest.mark.semantics("drains")
async def test_a_sale_drains_without_a_retry_storm_and_nothing_is_lost_or_doubled(
    servers: Servers, namespace: str
) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    result = await sale(settings, ORDERS, STOCK)
    assert sum(result.statuses.values()) == ORDERS
    assert result.statuses.keys() == {"completed", "compensated"}
    assert result.balances, result
    assert result.statuses["completed"] == STOCK or result.left_over > 0
    assert INVENTORY.outstanding is not None
    assert result.at_once <= INVENTORY.outstanding
    # Each call that failed, or that was asked for while the service was frozen, and no more, is made again.
    assert result.commands <= ORDERS + 30 + 2 * INVENTORY.outstanding
