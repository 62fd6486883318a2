"""Who calls what: all that the steps of an explanation are made from."""

import msgspec

from osm.core.model.mesh import Model
from osm.core.model.request import Request
from osm.core.model.service import ServicePort
from osm.core.model.workload import Workload


class Call(msgspec.Struct, frozen=True):
    """A request to a service port of the mesh, or without `request` a TCP connection."""

    model: Model
    source: Workload
    port: ServicePort
    """The one that was called; a route may send the request to others."""
    request: Request | None = None
