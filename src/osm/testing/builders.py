"""Small builders: objects from YAML and from a few words, and the snapshot or model that they make."""

from collections.abc import Mapping, Sequence

from osm.core.api.decode import decode
from osm.core.api.manifest import Manifest
from osm.core.api.yaml_text import parse
from osm.core.compile.build import compile_model
from osm.core.compile.options import CompileOptions
from osm.core.compile.snapshot import Snapshot
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.mesh import Model
from osm.core.model.origin import Severity
from osm.core.model.service import PortName, ServiceName

Document = Mapping[str, object]
Part = str | Document | Manifest

LOCAL = CompileOptions(require_monitored_label=False, placement=True)
"""As the local platform compiles: every namespace takes part."""


def manifests(*parts: Part) -> tuple[Manifest, ...]:
    """Objects from YAML texts, documents and manifests. Raises ValueError for what is refused."""
    return tuple(manifest for part in parts for manifest in _read(part))


def _read(part: Part) -> tuple[Manifest, ...]:
    if isinstance(part, Manifest):
        return (part,)
    if isinstance(part, str):
        parsed = parse(part, file="in.yaml")
        errors = [f for f in parsed.findings if f.severity is Severity.ERROR]
        found = parsed.manifests
    else:
        decoded = decode(part)
        errors = [f for f in decoded.findings if f.severity is Severity.ERROR]
        found = (decoded.manifest,) if decoded.manifest else ()
    if errors:
        raise ValueError("\n".join(str(error) for error in errors))
    return found


def snapshot(*parts: Part) -> Snapshot:
    """All these objects at one moment."""
    return Snapshot({manifest.key: manifest for manifest in manifests(*parts)})


def model(*parts: Part, options: CompileOptions = LOCAL) -> Model:
    """What these objects mean."""
    return compile_model(snapshot(*parts), options)


def _object(version: str, kind: str, namespace: str, name: str, spec: Document) -> Document:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def pod(  # noqa: PLR0913 - a test says what it is about, and nothing else
    name: str,
    *,
    namespace: str = "default",
    account: str = "",
    app: str = "",
    ip: str = "10.0.0.1",
    ports: Mapping[str, int] | None = None,
    ready: bool = True,
    subdomain: str = "",
    owner: tuple[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    phase: str = "Running",
) -> Document:
    """A pod with one container; label, service account and container are called `app` (or `name`)."""
    app = app or name
    owners = [{"kind": owner[0], "name": owner[1]}] if owner else []
    named = [{"name": port, "containerPort": number} for port, number in (ports or {}).items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": app},
            "annotations": dict(annotations or {}),
            "ownerReferences": owners,
        },
        "spec": {
            "serviceAccountName": account or app,
            "subdomain": subdomain,
            "containers": [{"name": "main", "ports": named}],
        },
        "status": {
            "phase": phase,
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def service(
    name: str,
    *ports: int | Document,
    namespace: str = "default",
    app: str = "",
    selector: Mapping[str, str] | None = None,
    ip: str = "10.1.0.1",
    publish_not_ready: bool = False,
) -> Document:
    """A service that selects pods by `app` (its own name when not given). `ip` may be `None`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"app": app or name} if selector is None else dict(selector),
            "clusterIP": ip,
            "publishNotReadyAddresses": publish_not_ready,
            "ports": [
                {"port": port, "name": f"http-{port}"} if isinstance(port, int) else port
                for port in ports
            ],
        },
    }


def service_account(name: str, *, namespace: str = "default") -> Document:
    """A ServiceAccount."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def namespace(name: str, **labels: str) -> Document:
    """A namespace with OSM's labels: `monitored_by="osm"`, `ignore="true"`."""
    spelled = {f"openservicemesh.io/{k.replace('_', '-')}": v for k, v in labels.items()}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": spelled},
    }


def http_group(name: str, *matches: Document, namespace: str = "default") -> Document:
    """An HTTPRouteGroup; without matches it has one that fits every request."""
    return _object(
        "specs.smi-spec.io/v1alpha4",
        "HTTPRouteGroup",
        namespace,
        name,
        {"matches": list(matches or ({"name": "all"},))},
    )


def tcp_route(name: str, *ports: int, namespace: str = "default") -> Document:
    """A TCPRoute for these ports; for all of them when none is given."""
    spec = {"matches": {"ports": list(ports)}}
    return _object("specs.smi-spec.io/v1alpha4", "TCPRoute", namespace, name, spec)


def target(
    name: str,
    destination: str,
    sources: Sequence[str],
    *rules: str | Document,
    namespace: str = "default",
) -> Document:
    """A TrafficTarget. Sources are `[namespace/]account`, rules `HTTPRouteGroup/name[/match…]`."""
    return _object(
        "access.smi-spec.io/v1alpha3",
        "TrafficTarget",
        namespace,
        name,
        {
            "destination": {"kind": "ServiceAccount", "name": destination, "namespace": namespace},
            "sources": [_source(source, namespace) for source in sources],
            "rules": [_rule(rule) if isinstance(rule, str) else rule for rule in rules],
        },
    )


def _source(text: str, namespace: str) -> Document:
    space, _, account = text.rpartition("/")
    return {"kind": "ServiceAccount", "name": account, "namespace": space or namespace}


def _rule(text: str) -> Document:
    kind, name, *matches = text.split("/")
    return {"kind": kind, "name": name, **({"matches": matches} if matches else {})}


def split(
    name: str,
    root: str,
    weights: Mapping[str, object],
    *,
    namespace: str = "default",
    created: str = "",
    matches: Sequence[str] = (),
) -> Document:
    """A TrafficSplit of `root` into backends by weight. `matches` are HTTPRouteGroups."""
    spec: dict[str, object] = {
        "service": root,
        "backends": [{"service": leaf, "weight": weight} for leaf, weight in weights.items()],
    }
    if matches:
        spec["matches"] = [{"kind": "HTTPRouteGroup", "name": group} for group in matches]
    return {
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created},
        "spec": spec,
    }


def ingress_backend(
    name: str,
    backends: Sequence[Document],
    sources: Sequence[Document],
    *,
    namespace: str = "default",
    created: str = "",
    matches: Sequence[str] = (),
) -> Document:
    """An IngressBackend. `matches` are HTTPRouteGroups."""
    api_group = "specs.smi-spec.io/v1alpha4"
    spec: dict[str, object] = {"backends": list(backends), "sources": list(sources)}
    if matches:
        spec["matches"] = [
            {"apiGroup": api_group, "kind": "HTTPRouteGroup", "name": group} for group in matches
        ]
    return {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "IngressBackend",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created},
        "spec": spec,
    }


def egress(
    name: str,
    sources: Sequence[str],
    ports: Sequence[str],
    *hosts: str,
    namespace: str = "default",
    ranges: Sequence[str] = (),
    groups: Sequence[str] = (),
    setting: str = "",
) -> Document:
    """An Egress. Sources are `[namespace/]account`, ports `protocol:number`; `groups` are
    HTTPRouteGroups, `setting` is an UpstreamTrafficSetting.
    """
    policy = "policy.openservicemesh.io/v1alpha1"
    matches = [("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", group) for group in groups]
    matches += [(policy, "UpstreamTrafficSetting", setting)] if setting else []
    spec: dict[str, object] = {
        "sources": [_source(source, namespace) for source in sources],
        "hosts": list(hosts),
        "ipAddresses": list(ranges),
        "ports": [
            {"number": int(port.rpartition(":")[2]), "protocol": port.rpartition(":")[0]}
            for port in ports
        ],
        "matches": [{"apiGroup": g, "kind": kind, "name": n} for g, kind, n in matches],
    }
    return _object(policy, "Egress", namespace, name, spec)


def retry(
    name: str,
    source: str,
    destinations: Sequence[str],
    *,
    namespace: str = "default",
    created: str = "",
    times: int = 5,
) -> Document:
    """A Retry of `[namespace/]account`'s requests to `[namespace/]service` after answers with 5xx."""
    spec = {
        "source": _source(source, namespace),
        "destinations": [{**_source(to, namespace), "kind": "Service"} for to in destinations],
        "retryPolicy": {"retryOn": "5xx", "numRetries": times},
    }
    made = _object("policy.openservicemesh.io/v1alpha1", "Retry", namespace, name, spec)
    return {**made, "metadata": {**_metadata(namespace, name), "creationTimestamp": created}}


def upstream(
    name: str, host: str, spec: Document, *, namespace: str = "default", created: str = ""
) -> Document:
    """An UpstreamTrafficSetting; `spec` is all of it but the host."""
    whole = {"host": host, **spec}
    version = "policy.openservicemesh.io/v1alpha1"
    made = _object(version, "UpstreamTrafficSetting", namespace, name, whole)
    return {**made, "metadata": {**_metadata(namespace, name), "creationTimestamp": created}}


def _metadata(namespace: str, name: str) -> Document:
    return {"name": name, "namespace": namespace}


def mesh_config(name: str = "osm-mesh-config", **sections: Document) -> Document:
    """A MeshConfig; `traffic={…}`, `sidecar={…}`."""
    version = "config.openservicemesh.io/v1alpha2"
    return _object(version, "MeshConfig", "osm-system", name, sections)


PERMISSIVE = mesh_config(traffic={"enablePermissiveTrafficPolicyMode": True})
"""A MeshConfig that lets everything through."""


def identity(name: str) -> Identity:
    """The identity `[namespace/]account` of the trust domain `cluster.local`."""
    namespace, _, account = name.rpartition("/")
    return Identity("cluster.local", namespace or "default", account)


def proxy(model: Model, workload: str) -> ProxyIdentity:
    """The proxy of the workload `[namespace/]name`."""
    namespace, _, name = workload.rpartition("/")
    return model.workloads[namespace or "default", name].proxy


def port_name(text: str) -> PortName:
    """The service port `[namespace/][pod.]service:port`."""
    service, _, number = text.rpartition(":")
    namespace, _, host = service.rpartition("/")
    pod, _, name = host.rpartition(".")
    return PortName(ServiceName(namespace or "default", name, pod), int(number))
