"""What an Envoy's admin interface says of resources, for tests of what reads it.

As Envoy 1.40 was seen to do it: defaults added to endpoints and their versions left out, virtual hosts
inside of their route configuration, which then has no version, and a runtime layer as texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from osm.ports import ExpectedResource

_ADMIN = "type.googleapis.com/envoy.admin.v3."
_LAYERS = (
    {"name": "limits", "static_layer": {}},
    {"name": "access", "rtds_layer": {"name": "access", "rtds_config": {"ads": {}}}},
)


def config_dump(resources: Sequence[ExpectedResource], **more: object) -> bytes:
    """The answer to `config_dump?include_eds` of a proxy that runs these."""
    of = {
        kind: [each for each in resources if each.type == kind]
        for kind in ("CDS", "EDS", "LDS", "RDS", "VHDS", "SDS", "ECDS")
    }
    sections: dict[str, dict[str, object]] = {
        "BootstrapConfigDump": {"bootstrap": {"layered_runtime": {"layers": _LAYERS}}},
        "ClustersConfigDump": {
            "static_clusters": [{"cluster": {"name": "osm-controller", "type": "STATIC"}}],
            "dynamic_active_clusters": [_entry(each, "cluster") for each in of["CDS"]],
        },
        "EcdsConfigDump": {"ecds_filters": [_entry(each, "ecds_filter") for each in of["ECDS"]]},
        "EndpointsConfigDump": {
            "static_endpoint_configs": [{"endpoint_config": {"cluster_name": "osm-controller"}}],
            "dynamic_endpoint_configs": [
                {"endpoint_config": _with_defaults(each.config)} for each in of["EDS"]
            ],
        },
        "ListenersConfigDump": {
            "dynamic_listeners": [
                {"name": each.name, "active_state": _entry(each, "listener")} for each in of["LDS"]
            ]
        },
        "RoutesConfigDump": {
            "dynamic_route_configs": [_routes(each, of["VHDS"]) for each in of["RDS"]]
        },
        "SecretsConfigDump": {
            "dynamic_active_secrets": [
                {"name": "tls_sds", "secret": {"name": "tls_sds"}},  # from a file: no version
                *(_entry(each, "secret") for each in of["SDS"]),
            ]
        },
    }
    configs = [{"@type": _ADMIN + name, **section} for name, section in sections.items()]
    return msgspec.json.encode({"configs": configs, **more})


def runtime(resources: Sequence[ExpectedResource]) -> bytes:
    """The answer to `runtime` of a proxy that runs these."""
    entries: dict[str, dict[str, object]] = {
        "re2.max_program_size.warn_level": {"layer_values": ["1000", ""]}
    }
    for each in resources:
        for key, value in each.config.get("layer", {}).items() if each.type == "RTDS" else ():
            entries[key] = {"layer_values": ["", f"{value:g}"], "final_value": f"{value:g}"}
    return msgspec.json.encode({"layers": ["limits", "access"], "entries": entries})


def _entry(resource: ExpectedResource, field: str) -> dict[str, object]:
    return {
        "version_info": resource.version,
        field: {"@type": "type.googleapis.com/something", **resource.config},
        "last_updated": "2026-01-01T00:00:00Z",
    }


def _routes(routes: ExpectedResource, hosts: Sequence[ExpectedResource]) -> dict[str, object]:
    entry = _entry(routes, "route_config")
    own = [each.config for each in hosts if each.name.startswith(f"{routes.name}/")]
    if own:
        del entry["version_info"]
        entry["route_config"] = {**routes.config, "virtual_hosts": own}
    return entry


def _with_defaults(assignment: Mapping[str, Any]) -> dict[str, object]:
    return {
        **assignment,
        "endpoints": [
            {
                **locality,
                "lb_endpoints": [_endpoint(each) for each in locality["lb_endpoints"]],
                "load_balancing_weight": 0,
            }
            for locality in assignment.get("endpoints", ())
        ],
        "policy": {"overprovisioning_factor": 140},
    }


def _endpoint(each: Mapping[str, Any]) -> dict[str, object]:
    path = each["endpoint"]["address"]["pipe"]["path"]
    return {
        **each,
        "endpoint": {"address": {"pipe": {"path": path}}, "health_check_config": {}},
        "health_status": "HEALTHY",
        "load_balancing_weight": 1,
    }
