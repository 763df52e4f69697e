"""A subscription is renewed; a declined card is charged again, and in the end the subscription is cancelled."""

from amends.examples.renewal.saga import Cancellation, Renewal
from amends.examples.renewal.services import billing, plans, post

__all__ = ["Cancellation", "Renewal", "billing", "plans", "post"]
