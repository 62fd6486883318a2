"""What is wrong with pods that have no proxy of the mesh: once for what made them, and each cause."""

from collections.abc import Iterator, Sequence

from osm.core.api.manifest import Key
from osm.core.api.membership import gives_proxies
from osm.core.api.mesh_keys import INJECTION
from osm.core.api.proxy_kind import NoProxy, why_no_proxy
from osm.core.compile import codes
from osm.core.compile.findings.places import origin_of_pod
from osm.core.compile.tables import ONE, Owner, Tables
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.mesh import WorkloadKey
from osm.core.model.origin import Finding, Severity
from osm.core.model.workload import ProxyKind, Workload

Keys = tuple[WorkloadKey, ...]

_ROLLED_OUT = ("Deployment", "StatefulSet", "DaemonSet")


def _owner(_: WorkloadKey, workload: Workload) -> Iterator[Owner]:
    if workload.proxy_kind is not ProxyKind.OWN:
        yield workload.namespace, workload.owner_kind, workload.owner_name


def _findings(tables: Tables, owner: Owner, keys: Keys) -> tuple[Finding, ...] | None:
    former = [key for key in keys if tables.workloads[key].proxy_kind is ProxyKind.FORMER]
    causes: dict[NoProxy, list[WorkloadKey]] = {}
    for key in keys:
        if tables.workloads[key].proxy_kind is ProxyKind.NONE:
            causes.setdefault(_why(tables, key), []).append(key)
    causes.pop(NoProxy.HOST_NETWORK, None)  # `workloads` says it, also of files
    found = [_bare(tables, owner, why, bare) for why, bare in sorted(causes.items())]
    if former:
        found.append(_of_former(tables, owner, former))
    return tuple(found) or None


def _why(tables: Tables, key: WorkloadKey) -> NoProxy:
    pod, options = tables.pods[key].object, tables.options[ONE]
    space = tables.namespaces.get(Key("", "Namespace", "", key[0]))
    return why_no_proxy(
        pod.metadata.annotations,
        space.object.metadata if space else None,
        options.mesh,
        options.former_mesh,
        host_network=pod.spec.host_network,
    )


def _bare(tables: Tables, owner: Owner, why: NoProxy, keys: Sequence[WorkloadKey]) -> Finding:
    unanswered = _unanswered(tables, keys)
    reason, hint, field = _words(owner, why)
    effect = "what they call in the mesh refuses them, unless an IngressBackend names them"
    if unanswered:
        effect += f", and callers of {', '.join(unanswered)} get 503: nobody else answers there"
    return _finding(
        tables,
        keys,
        codes.NO_PROXY,
        # Else somebody said so, as is usual of ingress controllers.
        Severity.WARNING if why is NoProxy.EARLIER else Severity.INFO,
        f"{_count(keys)} no proxy, since {reason}: {effect}",
        hint,
        field,
    )


def _words(owner: Owner, why: NoProxy) -> tuple[str, str, str]:
    """The reason, what to do, and the field."""
    space, restart = owner[0], _made_anew(owner)
    if why is NoProxy.POD:
        return (
            f"the pod's annotation {INJECTION} says so",
            "If they are to be in the mesh, remove it from the pod's template.",
            f'metadata.annotations["{INJECTION}"]',
        )
    if why is NoProxy.NAMESPACE:
        hint = f"If they are to be in the mesh: `osm namespace add {space}`, and then {restart}."
        return f"namespace {space} does not ask for them", hint, ""
    return (
        f"they were made before namespace {space} asked for them",
        f"Make them anew: {restart}.",
        "",
    )


def _made_anew(owner: Owner) -> str:
    namespace, kind, name = owner
    if kind in _ROLLED_OUT:
        return f"`kubectl rollout restart {kind.lower()}/{name} -n {namespace}`"
    return "delete and create them"


def _asks(tables: Tables, namespace: str) -> bool:
    """Whether new pods of a namespace are ours to give proxies to."""
    options = tables.options[ONE]
    space = tables.namespaces.get(Key("", "Namespace", "", namespace))
    labels = space.object.metadata.labels if space else {}
    return gives_proxies(labels, options.mesh, options.former_mesh)


def _of_former(tables: Tables, owner: Owner, keys: Sequence[WorkloadKey]) -> Finding:
    former, restart = tables.options[ONE].former_mesh, _made_anew(owner)
    severity = Severity.INFO if former else Severity.WARNING
    effect = f": mesh {former} says whom they may call, and who may call them"
    if not former:
        effect = ", which this mesh's do not understand: calls between them get 503"
    hint = f"Make them anew: {restart}."
    if not _asks(tables, owner[0]):
        hint = f"`osm namespace add {owner[0]}` takes the namespace over; then {restart}."
    message = f"{_count(keys)} a proxy of OSM v1.x{effect}"
    return _finding(tables, keys, codes.FORMER_PROXY, severity, message, hint, "")


def _count(keys: Sequence[WorkloadKey]) -> str:
    return "1 pod has" if len(keys) == 1 else f"{len(keys)} pods have"


def _unanswered(tables: Tables, keys: Sequence[WorkloadKey]) -> list[str]:
    """The services behind which nobody takes calls of the mesh, as people write them."""
    services = {service for key in keys for service in tables.selected_by.get(key, ())}
    return [
        f"service {service.name}"
        for service in sorted(services)
        if not any(
            tables.workloads[member].takes_mutual_tls for member in tables.members.get(service, ())
        )
    ]


def _finding(
    tables: Tables,
    keys: Sequence[WorkloadKey],
    code: str,
    severity: Severity,
    message: str,
    hint: str,
    field: str,
) -> Finding:
    first = tables.pods[keys[0]]
    return Finding(code, severity, origin_of_pod(first.object, field), message, hint, first.where)


STAGES: tuple[Stage, ...] = (
    Group("without_proxy", "workloads", _owner),
    Derive("proxy_findings", "without_proxy", _findings),
)
