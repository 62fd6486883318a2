"""bookbuyer: buys a book every second. The access policies of the demo let it."""

import sys

from osm.demo.journal import Journal
from osm.demo.page import Counter, Page
from osm.demo.process import main
from osm.demo.settings import Environment
from osm.demo.shopper import Shopper, Trade

TRADE = Trade(
    name="bookbuyer",
    deed="bought",
    expected_variable="BOOKBUYER_EXPECTED_RESPONSE_CODE",
    expected_status=200,
    page=Page(
        title="bookbuyer",
        blurb="Buys a book from the bookstore every second.",
        colour="#0b7a5c",
        night_colour="#3ecf9f",
        counters=(
            Counter("booksBought", "books bought"),
            Counter("booksBoughtV1", "bookstore v1"),
            Counter("booksBoughtV2", "bookstore v2"),
        ),
    ),
)


def build(environment: Environment, journal: Journal) -> Shopper:
    """Return the application, not yet started."""
    return Shopper(TRADE, environment, journal)


if __name__ == "__main__":
    sys.exit(main(TRADE.name, 14001, build))
