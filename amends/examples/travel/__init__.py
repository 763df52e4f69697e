"""A trip: a flight and a hotel side by side, then a car; each vendor has little to give."""

from amends.examples.travel import holds as holds  # the handlers of what is only held
from amends.examples.travel.saga import Travel, TravelInOrder
from amends.examples.travel.services import cars, flights, hotels
from amends.examples.travel.vendors import TravelByVendorsRules

__all__ = ["Travel", "TravelByVendorsRules", "TravelInOrder", "cars", "flights", "hotels"]
