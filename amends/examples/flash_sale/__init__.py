"""Everybody orders in the same second, from an inventory service that can only serve so many."""

from amends.examples.flash_sale.saga import INVENTORY, FlashSale
from amends.examples.flash_sale.services import inventory, payments

__all__ = ["INVENTORY", "FlashSale", "inventory", "payments"]
