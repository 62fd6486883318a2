"""ExtensionService as people write it: a server that proxies send something to.

A line `field: …` in a docstring is what `kubectl explain` shows of it (`crd_schema`).
"""

from typing import Annotated

from osm.core.api import codes
from osm.core.api.hosts import Host
from osm.core.api.limits import OptionalDuration, clipped
from osm.core.api.metadata import MeshStruct, Metadata
from osm.core.api.problem import Complaint
from osm.core.api.scalars import PortNumber, checked
from osm.core.model.origin import Severity

PROTOCOLS = ("", "h2c", "http2", "http1")


def check_protocol(value: object) -> Complaint | None:
    """Warn about a protocol that is none of ours: it is taken like one that is not given."""
    if value in PROTOCOLS:
        return None
    return Complaint(
        codes.NOT_ALLOWED,
        f"{clipped(value)} is not h2c, http2 or http1, and has no effect",
        "For gRPC, OpenTelemetry among it, write h2c.",
        Severity.WARNING,
    )


class ExtensionServiceSpec(MeshStruct, frozen=True):
    """Where the server is, and how to talk to it.

    host: Name or address of the server.
    port: Its port.
    protocol: `h2c` or `http2` is HTTP/2, `http1` is HTTP/1.1; else as the proxy's own client.
    connect_timeout: How long a connection may take to be made, such as `5s`.
    """

    host: Host
    port: PortNumber
    protocol: Annotated[str, checked(check_protocol)] = ""
    connect_timeout: OptionalDuration = ""


class ExtensionService(MeshStruct, frozen=True):
    """A server that proxies send something to, for instance an OpenTelemetry collector.

    spec: What this object says.
    """

    metadata: Metadata
    spec: ExtensionServiceSpec
