"""What is said in a flash sale."""

from __future__ import annotations

from decimal import Decimal

from amends import Command, Event


class SaleOrdered(Event, subject="sale.ordered"):
    order_id: str
    sale: str
    customer: str
    price: Decimal


class ItemReserved(Event, subject="sale_inventory.reserved"):
    order_id: str


class ReserveItem(Command[ItemReserved], subject="sale_inventory.reserve"):
    order_id: str
    sale: str


class ReleaseItem(Command, subject="sale_inventory.release"):
    order_id: str


class ItemPaid(Event, subject="sale_payments.paid"):
    order_id: str


class PayItem(Command[ItemPaid], subject="sale_payments.pay"):
    order_id: str
    customer: str
    price: Decimal
