"""What to add so that something outside of the mesh may call a workload."""

from osm.core.explain.objects import (
    Names,
    group_reference,
    made_object,
    printed,
    route_group,
)
from osm.core.model.groups import POLICY
from osm.core.model.request import Request
from osm.core.model.service import ServicePort


def ingress_remedy(names: Names, caller: str, port: ServicePort, request: Request) -> str:
    """Let exactly this request of an address in. `port` is a service's in front of the workload.

    Not for a port that an IngressBackend has already: of two, the older one counts alone.
    """
    service = port.name.service
    name = names.free(service.namespace, f"{service.name}-from-outside")
    group = route_group(service.namespace, name, request)
    spec = {
        "backends": [
            {"name": service.name, "port": {"number": port.target_port, "protocol": "http"}}
        ],
        "sources": [{"kind": "IPRange", "name": f"{caller}/32"}],
        "matches": [group_reference(name)],
    }
    return printed((group, made_object(POLICY, "IngressBackend", service.namespace, name, spec)))
