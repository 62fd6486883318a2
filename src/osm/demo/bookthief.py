"""bookthief: does what bookbuyer does, with the same headers. Only its identity is another one."""

import sys

from osm.demo.journal import Journal
from osm.demo.page import Counter, Page
from osm.demo.process import main
from osm.demo.settings import Environment
from osm.demo.shopper import Shopper, Trade

TRADE = Trade(
    name="bookthief",
    deed="stolen",
    expected_variable="BOOKTHIEF_EXPECTED_RESPONSE_CODE",
    expected_status=404,
    page=Page(
        title="bookthief",
        blurb="Sends what bookbuyer sends, but is not bookbuyer.",
        colour="#b4232a",
        night_colour="#ff7b7b",
        counters=(
            Counter("booksStolen", "books stolen"),
            Counter("booksStolenV1", "bookstore v1"),
            Counter("booksStolenV2", "bookstore v2"),
        ),
    ),
)


def build(environment: Environment, journal: Journal) -> Shopper:
    """Return the application, not yet started."""
    return Shopper(TRADE, environment, journal)


if __name__ == "__main__":
    sys.exit(main(TRADE.name, 14001, build))
