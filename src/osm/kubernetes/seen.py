"""Looking at a cluster, part by part: what cannot be seen does not hide the rest."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from osm.core.check.facts import Unseen
from osm.errors import OsmError
from osm.kubernetes.api_server import Status, Unreachable
from osm.kubernetes.failure import explain

Fact = TypeVar("Fact")


async def seen(look: Callable[[], Awaitable[Fact]]) -> Fact | Unseen:
    """A fact, or why it is not known."""
    try:
        return await look()
    except (Status, Unreachable) as error:
        return Unseen(explain(error).message)
    except OsmError as error:
        return Unseen(error.message)
