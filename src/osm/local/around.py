"""Which calls of pods go around their proxies on this machine, and what of it cannot count here."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from osm.core.api import exclusions
from osm.core.api.config import MeshConfig, TrafficSpec
from osm.core.compile.exclusions import redirection_of
from osm.core.compile.openservicemesh import MESH_CONFIG_NAME
from osm.core.model.groups import CONFIG
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.redirection import Redirection
from osm.local.addresses import MESH
from osm.local.pods import Wanted

NOT_REDIRECTED = "OSM404"

_FIELDS: Mapping[str, Callable[[TrafficSpec], Sequence[object]]] = {
    "outboundPortExclusionList": lambda traffic: traffic.outbound_port_exclusion_list,
    "inboundPortExclusionList": lambda traffic: traffic.inbound_port_exclusion_list,
    "outboundIPRangeInclusionList": lambda traffic: traffic.outbound_ip_range_inclusion_list,
}
_ANNOTATIONS = (
    exclusions.OUTBOUND_PORTS,
    exclusions.INBOUND_PORTS,
    exclusions.INCLUDED_RANGES,
)


class Around(msgspec.Struct, frozen=True):
    """By pod what goes around its proxy, and findings."""

    redirections: Mapping[str, Redirection]
    findings: tuple[Finding, ...]


def around_proxies(
    objects: Iterable[object], wanted: Sequence[Wanted], *, redirected: bool
) -> Around:
    """Merge what MeshConfig and the pods say. `redirected`: pods have networks of their own."""
    configs = sorted(
        (each for each in objects if isinstance(each, MeshConfig)),
        key=lambda config: config.metadata.namespace,
    )
    config = next((c for c in configs if c.metadata.name == MESH_CONFIG_NAME), None)
    traffic = config.spec.traffic if config else TrafficSpec()
    merged = {
        each.name: _with_the_mesh(redirection_of(each.metadata.annotations, traffic))
        for each in wanted
    }
    findings = () if redirected else tuple(dict.fromkeys(_findings(config, wanted)))
    return Around(merged, findings)


def _with_the_mesh(redirection: Redirection) -> Redirection:
    """Addresses of the mesh are not here what they are in a cluster: all of them are included."""
    included = redirection.included_ranges
    if not included or str(MESH) in included:
        return redirection
    return msgspec.structs.replace(redirection, included_ranges=(*included, str(MESH)))


def _findings(config: MeshConfig | None, wanted: Sequence[Wanted]) -> Iterator[Finding]:
    if config is not None:
        meta = config.metadata
        for name, values in _FIELDS.items():
            if values(config.spec.traffic):
                field = f"spec.traffic.{name}"
                yield _finding(Origin("MeshConfig", meta.namespace, meta.name, field, CONFIG))
    for pod in wanted:
        field = pod.origin.field.removesuffix("spec") + "metadata.annotations"
        for name in _ANNOTATIONS:
            if exclusions.entries(pod.metadata.annotations.get(name, "")):
                yield _finding(msgspec.structs.replace(pod.origin, field=f'{field}["{name}"]'))


def _finding(origin: Origin) -> Finding:
    return Finding(
        NOT_REDIRECTED,
        Severity.INFO,
        origin,
        "nothing is redirected here: programs learn of their proxy by HTTP_PROXY, and NO_PROXY can only "
        "name addresses, so this list has no effect",
        "It counts where pods have networks of their own (`osm up --isolation user`), and on Kubernetes.",
    )
