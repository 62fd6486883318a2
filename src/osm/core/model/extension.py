"""Servers that proxies themselves ask or tell something: of limits, permission, traces and logs."""

import msgspec


class ExtensionServer(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where such a server is, and how to talk to it. `host` is a name or an IPv4 address.

    A name of a service of the mesh is called as everything in the mesh is: over mutual TLS, as the
    identity of the proxy's workload, if access rules let it. Any other is called in plaintext, as in
    OSM (`reference/osm.md` §7.8, §7.10).
    """

    host: str
    port: int
    http2: bool = True
    connect_timeout_ns: int = 0
    """0: the proxy's default."""
