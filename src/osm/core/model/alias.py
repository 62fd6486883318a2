"""Services that are another name for something (`type: ExternalName`)."""

import msgspec

from osm.core.model.origin import Origin
from osm.core.model.service import ServiceName


class Alias(msgspec.Struct, frozen=True, gc=False):
    """What an alias stands for in the end: a service of the mesh, or a host beyond it."""

    origin: Origin
    service: ServiceName | None = None
    host: str = ""
    """Lower case, without a final dot; empty when it is a service."""
    via: tuple[ServiceName, ...] = ()
    """The aliases that lie between, in order."""
