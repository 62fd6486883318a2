"""What a proxy runs, read from what its admin interface says: `config_dump?include_eds`, `runtime`.

Envoy shows neither versions of endpoints and virtual hosts, nor a runtime layer as it was sent; what
else it leaves out or adds is in docs/guides/debugging.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from osm.cli.columns import at, items, word
from osm.errors import OsmError

Key = tuple[str, str]
"""Short name of the xDS type, and the resource's name."""

CONFIG_DUMP = "config_dump?include_eds"
RUNTIME = "runtime"


class RunningResource(msgspec.Struct, frozen=True):
    """A resource that a proxy has from the control plane. `version` is empty where Envoy tells none."""

    type: str
    name: str
    version: str
    config: Mapping[str, Any]
    warming: str = ""
    """The version that the proxy received and does not use yet, for something in it is missing."""


def read_running(dump: bytes, runtime: bytes) -> Mapping[Key, RunningResource]:
    """Read both answers of the admin interface. What comes from files or the bootstrap is left out."""
    sections: dict[str, Any] = {}
    for config in items(_decoded(dump), "configs"):
        sections[word(config, "@type").rpartition(".")[2]] = config
    running: dict[Key, RunningResource] = {}
    for found in (
        *_clusters(sections.get("ClustersConfigDump")),
        *_endpoints(sections.get("ClustersConfigDump"), sections.get("EndpointsConfigDump")),
        *_secrets(sections.get("SecretsConfigDump")),
        *_listeners(sections.get("ListenersConfigDump")),
        *_extensions(sections.get("EcdsConfigDump")),
        *_routes(sections.get("RoutesConfigDump")),
        *_layers(sections.get("BootstrapConfigDump"), _decoded(runtime)),
    ):
        before = running.get((found.type, found.name))
        if before is None or before.warming:
            running[found.type, found.name] = found
        elif found.warming:
            running[found.type, found.name] = msgspec.structs.replace(before, warming=found.warming)
    return running


def _decoded(answer: bytes) -> Any:
    try:
        return msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise OsmError(f"The proxy's admin interface did not answer with JSON: {error}.") from error


def _clusters(section: Any) -> Iterator[RunningResource]:
    for each in items(section, "dynamic_active_clusters"):
        yield _resource("CDS", each, "cluster")
    for each in items(section, "dynamic_warming_clusters"):
        yield _resource("CDS", each, "cluster", warming=True)


def _endpoints(clusters: Any, section: Any) -> Iterator[RunningResource]:
    """Of clusters that ask for their endpoints; Envoy lists those of all others beside them."""
    asked = set()
    for kind in ("dynamic_active_clusters", "dynamic_warming_clusters"):
        for each in items(clusters, kind):
            cluster = at(each, "cluster")
            if word(cluster, "type") == "EDS":
                name = word(cluster, "eds_cluster_config", "service_name") or word(cluster, "name")
                asked.add(name)
    for each in items(section, "dynamic_endpoint_configs"):
        config = at(each, "endpoint_config")
        name = word(config, "cluster_name")
        if name in asked:
            yield RunningResource("EDS", name, "", _without_type(config))


def _secrets(section: Any) -> Iterator[RunningResource]:
    for kind in ("dynamic_active_secrets", "dynamic_warming_secrets"):
        for each in items(section, kind):
            if word(each, "version_info"):  # a secret from a file has none
                yield _resource("SDS", each, "secret", warming="warming" in kind)


def _listeners(section: Any) -> Iterator[RunningResource]:
    for each in items(section, "dynamic_listeners"):
        if at(each, "active_state") is not None:
            yield _resource("LDS", at(each, "active_state"), "listener")
        if at(each, "warming_state") is not None:
            yield _resource("LDS", at(each, "warming_state"), "listener", warming=True)


def _extensions(section: Any) -> Iterator[RunningResource]:
    for each in items(section, "ecds_filters"):
        yield _resource("ECDS", each, "ecds_filter")


def _routes(section: Any) -> Iterator[RunningResource]:
    """Route configurations, and the virtual hosts in them that were asked for one by one."""
    for each in items(section, "dynamic_route_configs"):
        routes = _resource("RDS", each, "route_config")
        own: list[Any] = []
        for host in items(routes.config, "virtual_hosts"):
            # The xDS protocol names such a virtual host `<route configuration>/<authority>`.
            if "vhds" in routes.config and word(host, "name").startswith(f"{routes.name}/"):
                yield RunningResource("VHDS", word(host, "name"), "", host)
            else:
                own.append(host)
        config = {k: v for k, v in routes.config.items() if k != "virtual_hosts"}
        if own:
            config["virtual_hosts"] = own
        yield msgspec.structs.replace(routes, config=config)


def _layers(bootstrap: Any, runtime: Any) -> Iterator[RunningResource]:
    order = [str(name) for name in items(runtime, "layers")]
    for layer in items(bootstrap, "bootstrap", "layered_runtime", "layers"):
        name = word(layer, "rtds_layer", "name")
        if not name or word(layer, "name") not in order:
            continue
        index = order.index(word(layer, "name"))
        entries = at(runtime, "entries") or {}
        values = {
            key: entry_values[index]
            for key, entry in entries.items()
            if len(entry_values := items(entry, "layer_values")) > index and entry_values[index]
        }
        yield RunningResource("RTDS", name, "", {"name": name, "layer": values})


def _resource(kind: str, entry: Any, field: str, *, warming: bool = False) -> RunningResource:
    config = _without_type(at(entry, field))
    version = word(entry, "version_info")
    name = word(config, "name") or word(entry, "name")
    return RunningResource(kind, name, version, config, version if warming else "")


def _without_type(config: Any) -> Mapping[str, Any]:
    return (
        {key: value for key, value in config.items() if key != "@type"}
        if isinstance(config, Mapping)
        else {}
    )
