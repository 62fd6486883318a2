"""The way of a call: listener, filter chain, filters, route, cluster, and the same at the other end."""

import msgspec
from google.protobuf.message import Message

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import address_pb2
from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.extensions.transport_sockets.http_11_proxy.v3 import (
    upstream_http_11_connect_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.proxy_protocol.v3 import (
    upstream_proxy_protocol_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from osm.core.explain.simulation import tls
from osm.core.explain.simulation.answer import Answer, NotSimulated, by_way_of, ends, mixed
from osm.core.explain.simulation.call import Call, Certificate, Connection, Request
from osm.core.explain.simulation.chain import WayOn, through_chain
from osm.core.explain.simulation.listeners import Chain, chain_of
from osm.core.explain.simulation.sent import OUTBOUND, Sent, spelled
from osm.core.explain.simulation.unpack import is_a, unpacked

Listener = listener_pb2.Listener
Cluster = cluster_pb2.Cluster
Connect = upstream_http_11_connect_pb2.Http11ProxyUpstreamTransport
Dialled = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport
_HOPS = 3
"""A call passes the caller's proxy and the called one's; what goes on after that goes in circles."""


def from_application(sent: Sent, proxy: str, call: Call) -> Answer:
    """What becomes of what the application beside a proxy does.

    A call to an address where its proxy listens is to the proxy itself; all others are redirected.
    """
    own = (
        listener
        for listener in sent.listeners(proxy)
        if listener.address.socket_address.address == call.address
        and listener.address.socket_address.port_value == call.port
    )
    listener = next(own, None) or sent.redirected(proxy, OUTBOUND)
    if listener is None:
        return ends("closed", reason="nobody listens")
    walk = _Walk(sent, proxy, leaving=True)
    return walk.arrive(listener, _begun(call), _asked(call))


def from_outside(sent: Sent, call: Call) -> Answer:
    """What becomes of what somebody outside of the mesh sends to a pod's address, or to the socket of
    a listener that hears from others who calls.
    """
    found = sent.behind(_place(call))
    if found is not None:
        proxy, listener = found
        walk = _Walk(sent, proxy)
        return walk.arrive(listener, _begun(call), _asked(call), shows=call.certificate)
    return ends("closed", reason="nobody listens")


def _leads(cluster: Cluster, kind: type[Message]) -> bool:
    """Whether a cluster leads to somebody who takes connections on, and is told by this where to."""
    return is_a(cluster.transport_socket.typed_config, kind)


def _place(call: Call) -> address_pb2.Address:
    if call.address.startswith("/"):
        return address_pb2.Address(pipe=address_pb2.Pipe(path=call.address))
    socket = address_pb2.SocketAddress(address=call.address, port_value=call.port)
    return address_pb2.Address(socket_address=socket)


def _begun(call: Call) -> Connection:
    protocols = ("h2", "http/1.1") if call.server_name is not None else ()
    return Connection(call.address, call.port, call.source, call.server_name, protocols)


def _asked(call: Call) -> Request | None:
    if not call.method:
        return None
    headers = tuple((name.lower(), value) for name, value in call.headers)
    return Request(call.method, call.authority, call.target, headers)


class _Walk:
    """What happens at one proxy."""

    def __init__(self, sent: Sent, proxy: str, hop: int = 1, *, leaving: bool = False) -> None:
        if hop > _HOPS:
            raise NotSimulated("the simulation does not follow calls in circles")
        self._sent = sent
        self._proxy = proxy
        self._hop = hop
        self._leaving = leaving
        """The application of this proxy calls others, and is not called."""

    def arrive(
        self,
        listener: Listener,
        connection: Connection,
        request: Request | None,
        *,
        client: tls.Side | None = None,
        shows: Certificate | None = None,
    ) -> Answer:
        """Choose a chain, shake hands, and go through its filters. `client` is another proxy;
        anybody else shows a certificate, or none.
        """
        # What keeps two proxies from each other, the caller's tells its application.
        status = 503 if client is not None and request is not None else 0
        chain = chain_of(listener, connection)
        if chain is None:
            return ends("closed", status=status, reason="no filter chain fits")
        if not chain.HasField("transport_socket"):
            if client is not None:
                return ends("closed", status=status, reason="the server speaks no TLS")
            return through_chain(self._way(), chain, connection, request)
        if connection.server_name is None:
            return ends("closed", reason="the server speaks TLS only")
        side, demanded = self._server(chain)
        if client is not None:
            refused = tls.problem(client, side, demanded=demanded)
            shows = client.certificate
        else:
            refused = tls.caller_problem(side, shows, demanded=demanded)
        if refused:
            return ends("denied", place=self._proxy, status=status, reason=refused)
        # Whom nobody asks for a certificate shows none.
        asked = side.context.HasField("combined_validation_context")
        inside = msgspec.structs.replace(connection, peer=shows if asked else None)
        return through_chain(self._way(), chain, inside, request)

    def _server(self, chain: Chain) -> tuple[tls.Side, bool]:
        config = chain.transport_socket.typed_config
        if not is_a(config, tls_pb2.DownstreamTlsContext):
            raise NotSimulated(f"the simulation does not know {config.type_url} of a listener")
        context = unpacked(config, tls_pb2.DownstreamTlsContext)
        return self._side(context.common_tls_context), context.require_client_certificate.value

    def _side(self, context: tls_pb2.CommonTlsContext) -> tls.Side:
        certificate = self._sent.places[self._proxy].certificate
        return tls.Side(context, self._sent.secret(self._proxy), certificate)

    def _way(self) -> WayOn:
        return WayOn(self._sent, self._proxy, self._to_clusters)

    def _to_clusters(
        self,
        clusters: list[tuple[str, int]],
        connection: Connection,
        request: Request | None,
        *,
        on_demand: bool,
    ) -> Answer:
        def to(name: str) -> Answer:
            cluster = self._sent.cluster(self._proxy, name, on_demand=on_demand)
            if cluster is None:
                return ends("no cluster", status=503 if request else 0, reason=name)
            return by_way_of(name, self._to_cluster(cluster, connection, request))

        return mixed((weight, to(name)) for name, weight in clusters)

    def _to_cluster(
        self, cluster: Cluster, connection: Connection, request: Request | None
    ) -> Answer:
        status = 503 if request is not None else 0
        if cluster.type == Cluster.ORIGINAL_DST or _leads(cluster, Dialled):
            return ends("beyond", place=f"{connection.ip}:{connection.port}")
        addresses = self._sent.addresses(self._proxy, cluster)
        if not addresses:
            return ends("no endpoints", status=status, reason=cluster.name)
        if cluster.type == Cluster.STRICT_DNS or _leads(cluster, Connect):
            return ends("beyond", place=spelled(addresses[0]))
        if cluster.type not in (Cluster.EDS, Cluster.STATIC):
            raise NotSimulated(f"the simulation does not know clusters of type {cluster.type}")
        return mixed((1, self._to_endpoint(cluster, each, request)) for each in addresses)

    def _to_endpoint(
        self, cluster: Cluster, address: address_pb2.Address, request: Request | None
    ) -> Answer:
        socket = address.socket_address
        if not cluster.HasField("transport_socket"):
            # Plain: the application beside the proxy, or somebody outside of the mesh.
            if self._leaving:
                return ends("beyond", place=spelled(address))
            return ends("forwarded", place=f"{self._proxy}:{socket.port_value}")
        found = self._sent.behind(address)
        if found is None:
            return ends("closed", status=503 if request else 0, reason="nobody listens there")
        proxy, listener = found
        config = cluster.transport_socket.typed_config
        if not is_a(config, tls_pb2.UpstreamTlsContext):
            raise NotSimulated(f"the simulation does not know {config.type_url} of a cluster")
        context = unpacked(config, tls_pb2.UpstreamTlsContext)
        connection = Connection(
            ip=socket.address or self._sent.places[proxy].ip,
            port=socket.port_value,
            source=self._sent.places[self._proxy].ip,
            server_name=context.sni,
            protocols=tuple(context.common_tls_context.alpn_protocols),
        )
        client = self._side(context.common_tls_context)
        there = _Walk(self._sent, proxy, self._hop + 1)
        return there.arrive(listener, connection, request, client=client)
