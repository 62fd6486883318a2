"""Which workloads answer for a service port."""

from collections.abc import Sequence

from osm.core.model.service import Endpoint, ServicePort
from osm.core.model.workload import Workload


def endpoints_of(
    port: ServicePort, members: Sequence[Workload], *, publish_not_ready: bool
) -> tuple[Endpoint, ...]:
    """Those that are ready. Who has no proxy is called when nobody else is left, in vain: never in
    plain text (docs/decisions/0017).
    """
    if not port.target_port:
        return ()
    chosen = _ready([w for w in members if w.takes_mutual_tls], all_of_them=publish_not_ready)
    return tuple(
        Endpoint(
            address=w.inbound_address(port.target_port),
            namespace=w.namespace,
            workload=w.name,
            owner_kind=w.owner_kind,
            owner_name=w.owner_name,
        )
        for w in chosen or _ready(members, all_of_them=publish_not_ready)
    )


def _ready(members: Sequence[Workload], *, all_of_them: bool) -> Sequence[Workload]:
    """When Kubernetes has not heard of a node for a while, and after an API server was away, it says
    that none of the node's pods is ready, whatever their own kubelet said of them last.
    """
    ready = [w for w in members if w.ready or all_of_them]
    return ready or [w for w in members if w.serves]
