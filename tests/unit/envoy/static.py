"""Meshes as static bootstraps, so that Envoy itself checks everything that we generate.

What comes over the stream while an Envoy runs is put in place: routes into listeners, virtual hosts
into routes, extension configurations into filters, endpoints into clusters.
"""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import json_format
from google.protobuf.message import Message
from tests.unit.envoy.asking import all_names, catalog_of, value_of

from osm._envoy.envoy.config.bootstrap.v3 import bootstrap_pb2
from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import base_pb2, extension_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2, route_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from osm.core.envoy import names
from osm.core.envoy.bootstrap import (
    CERTIFICATE_FILE,
    TRUST_FILE,
    Bootstrap,
    build_bootstrap,
    build_certificate_file,
    build_trust_file,
)
from osm.core.envoy.catalog import Catalog
from osm.core.envoy.observation import observation
from osm.core.envoy.render import build
from osm.core.envoy.secret import (
    CallersSecret,
    CertificateSecret,
    TrustSecret,
    build_callers_secret,
    build_certificate_secret,
    build_trust_secret,
)
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.mesh import Model
from osm.core.model.workload import PipeAddress
from osm.core.pki.certificate import Root, build_leaf, build_root
from osm.core.xds import types
from osm.local.proxy import envoy_binary

Found = dict[tuple[str, str], Message]
Manager = http_connection_manager_pb2.HttpConnectionManager
CONTROL_PLANE_NAME = "osm-controller.osm-system.svc"
HTTP_MANAGER = "envoy.filters.network.http_connection_manager"


class StaticEnvoy:
    """Collects resources of any number of proxies into one bootstrap. `directory` is for files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        control_plane = PipeAddress(str(directory / "control-plane.sock"))
        value = Bootstrap(
            ProxyIdentity(Identity("cluster.local", "default", "account"), "workload"),
            control_plane,
            CONTROL_PLANE_NAME,
            PipeAddress(str(directory / "admin.sock")),
            str(directory),
        )
        self.bootstrap = json_format.Parse(build_bootstrap(value), bootstrap_pb2.Bootstrap())
        chain, key, self._bundle = make_certificates(directory)
        self.bootstrap.static_resources.secrets.extend(
            [
                build_certificate_secret(
                    CertificateSecret(names.SERVICE_CERTIFICATE, chain, key, "1")
                ),
                build_trust_secret(TrustSecret(names.ROOT_CERTIFICATES, self._bundle)),
            ]
        )
        # Only what is here counts: the rest would come over the stream.
        self.bootstrap.dynamic_resources.ClearField("cds_config")
        self.bootstrap.dynamic_resources.ClearField("lds_config")
        self._listeners = 0
        self._clusters: set[str] = set()

    def add_model(self, model: Model) -> None:
        """Everything that the proxies of a model can get."""
        catalog = catalog_of(model)
        for workload in model.workloads.values():
            self.add_proxy(model, catalog, workload.proxy)

    def add_proxy(self, model: Model, catalog: Catalog, proxy: ProxyIdentity) -> None:
        found: Found = {}
        for kind, name in all_names(model, catalog, proxy):
            value = value_of(catalog, proxy, kind, name)
            if value is not None:
                found[kind, name] = build(value)
        for (kind, name), message in found.items():
            if kind == types.LISTENER:
                assert isinstance(message, listener_pb2.Listener)
                self._add_listener(proxy, message, found, catalog)
            elif kind == types.CLUSTER:
                assert isinstance(message, cluster_pb2.Cluster)
                self._add_cluster(f"{proxy.name} {name}", message, found)
        # Envoy takes no tracer without its cluster: these are known by their own names, too.
        told = observation(model, model.workloads[proxy.identity.namespace, proxy.workload])
        for name in told.clusters:
            message = found[types.CLUSTER, name]
            assert isinstance(message, cluster_pb2.Cluster)
            self._add_cluster(name, message, found)

    def _add_callers(self, proxy: ProxyIdentity, name: str, catalog: Catalog) -> str:
        """The name of a static secret for whom a TCP port accepts, with real roots."""
        value = value_of(catalog, proxy, types.SECRET, name)
        assert isinstance(value, CallersSecret), name
        known = f"{name} {self._listeners}"
        real = msgspec.structs.replace(value, name=known, bundle=self._bundle)
        self.bootstrap.static_resources.secrets.append(build_callers_secret(real))
        return known

    def _add_listener(
        self,
        proxy: ProxyIdentity,
        listener: listener_pb2.Listener,
        found: Found,
        catalog: Catalog,
    ) -> None:
        self._listeners += 1
        out = self.bootstrap.static_resources.listeners.add()
        out.CopyFrom(listener)
        out.name = f"{proxy.name} {listener.name} {self._listeners}"
        # Several proxies' listeners must not want one address.
        out.address.Clear()
        out.address.pipe.path = str(self._directory / f"{self._listeners}.sock")
        chains = [*out.filter_chains]
        if out.HasField("default_filter_chain"):
            chains.append(out.default_filter_chain)
        for chain in chains:
            context = tls_pb2.DownstreamTlsContext()
            if chain.transport_socket.typed_config.Unpack(context):
                common = context.common_tls_context.combined_validation_context
                trust = common.validation_context_sds_secret_config
                if trust.name not in ("", names.ROOT_CERTIFICATES):
                    trust.name = self._add_callers(proxy, trust.name, catalog)
                _use_static_secrets(chain.transport_socket, context)
        for each in (each for chain in chains for each in chain.filters):
            if each.HasField("config_discovery"):
                _inline_extension(each, found)
            elif each.name == HTTP_MANAGER:
                _inline_routes(each, found)

    def _add_cluster(self, name: str, cluster: cluster_pb2.Cluster, found: Found) -> None:
        if name in self._clusters:
            return
        self._clusters.add(name)
        out = self.bootstrap.static_resources.clusters.add()
        out.CopyFrom(cluster)
        out.name = name
        upstream = tls_pb2.UpstreamTlsContext()
        if out.transport_socket.typed_config.Unpack(upstream):
            _use_static_secrets(out.transport_socket, upstream)
        endpoints = found.get((types.ENDPOINT, cluster.eds_cluster_config.service_name))
        endpoints = endpoints or found.get((types.ENDPOINT, cluster.name))
        if out.type == cluster_pb2.Cluster.EDS:
            assert isinstance(endpoints, endpoint_pb2.ClusterLoadAssignment), name
            out.type = cluster_pb2.Cluster.STATIC
            out.ClearField("eds_cluster_config")
            out.load_assignment.MergeFrom(endpoints)
            out.load_assignment.cluster_name = name

    def validate(self) -> str:
        """What Envoy says against it; empty when it is right."""
        file = self._directory / "envoy.json"
        file.write_text(json_format.MessageToJson(self.bootstrap, preserving_proto_field_name=True))
        return complaint_of(file)


def complaint_of(file: Path) -> str:
    """What Envoy says against a bootstrap; empty when it is right."""
    result = subprocess.run(
        [envoy_binary(), "--mode", "validate", "-c", str(file), "-l", "error"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if result.returncode == 0 else result.stderr or result.stdout or "refused"


def make_certificates(directory: Path) -> tuple[bytes, bytes, bytes]:
    """Write the files that a bootstrap refers to; gives chain, key and roots."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    root = Root(build_root(key, serial=1, now=now), key)
    subject = ProxyIdentity(Identity("cluster.local", "default", "account"), "workload")
    leaf = build_leaf(
        root, subject, key.public_key(), serial=2, now=now, validity=timedelta(hours=1)
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain, bundle = leaf.public_bytes(pem), root.certificate.public_bytes(pem)
    (directory / CERTIFICATE_FILE).write_text(build_certificate_file(chain, private))
    (directory / TRUST_FILE).write_text(build_trust_file(bundle, CONTROL_PLANE_NAME))
    return chain, private, bundle


def _use_static_secrets(
    socket: base_pb2.TransportSocket,
    context: tls_pb2.UpstreamTlsContext | tls_pb2.DownstreamTlsContext,
) -> None:
    common = context.common_tls_context
    secrets = [*common.tls_certificate_sds_secret_configs]
    if common.HasField("combined_validation_context"):
        secrets.append(common.combined_validation_context.validation_context_sds_secret_config)
    for secret in secrets:
        secret.ClearField("sds_config")
    socket.typed_config.Pack(context)


def _inline_extension(network_filter: listener_components_pb2.Filter, found: Found) -> None:
    extension = found[types.EXTENSION, network_filter.name]
    assert isinstance(extension, extension_pb2.TypedExtensionConfig)
    network_filter.typed_config.CopyFrom(extension.typed_config)


def _inline_routes(network_filter: listener_components_pb2.Filter, found: Found) -> None:
    manager = Manager()
    network_filter.typed_config.Unpack(manager)
    name = manager.rds.route_config_name
    routes = route_pb2.RouteConfiguration()
    routes.MergeFromString(found[types.ROUTE, name].SerializeToString())
    if names.parse_outbound_routes(name) is not None:
        routes.ClearField("vhds")
        hosts = {  # one may have been asked for by several names
            message.name: message
            for (_, host), message in found.items()
            if isinstance(message, route_components_pb2.VirtualHost)
            and (host.startswith(name + "/") or name == names.outbound_routes(0))
        }
        routes.virtual_hosts.extend(hosts.values())
        if name == names.outbound_routes(0):
            _keep_first_of_each_domain(routes)
    manager.route_config.CopyFrom(routes)
    network_filter.typed_config.Pack(manager)


def _keep_first_of_each_domain(routes: route_pb2.RouteConfiguration) -> None:
    """Without a port in the name, hosts of several ports meet in one configuration."""
    hosts = {host.domains[0]: host for host in reversed(routes.virtual_hosts)}
    routes.ClearField("virtual_hosts")
    routes.virtual_hosts.extend(hosts[domain] for domain in sorted(hosts))
