"""The proxy in its pod: containers, volume, labels and annotations.

Where the cluster has native sidecars (Kubernetes 1.29), traffic is redirected first, then the proxy starts,
and all else after it is ready: init containers and applications have the mesh from their first
millisecond, the proxy ends after them, and a Job ends. On older clusters the proxy is the first
container, whose start is held until it is ready; init containers run before traffic is redirected, and
a Job ends only when its program ends the proxy too (`obstacles.warnings`).

Nothing here depends on the pod's name, which it may not have yet: the kubelet fills in what does. So a
copy of a pod is a proxy of its own.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from osm.core.api.config import Resources
from osm.core.api.quantity import parse_quantity
from osm.core.inject.pod import Document, Pod
from osm.core.inject.redirection import (
    INBOUND_PORT,
    METRICS_PORT,
    PROXY_USER,
    rules_of,
    ruleset,
)
from osm.core.model.probe import HEALTH_PORT, READY_PATH, Probes
from osm.core.model.proxy_process import proxy_arguments
from osm.core.model.redirection import Redirection
from osm.core.model.reserved import HEALTH_PORT_NAME, PROXY_CONTAINER, UUID_LABEL

CONTAINER = PROXY_CONTAINER
INIT_CONTAINER = "osm-init"
VOLUME = "osm-proxy-identity"
DIRECTORY = "/var/run/secrets/openservicemesh.io/proxy"
TOKEN_FILE = "token"  # noqa: S105 (a file's name)
THREADS = 2
"""Of a proxy without a limit of its CPU."""
_ADMIN_PORT = 15000
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_FIELDS = {
    "POD_UID": "metadata.uid",
    "POD_NAME": "metadata.name",
    "POD_NAMESPACE": "metadata.namespace",
    "POD_IP": "status.podIP",
    "SERVICE_ACCOUNT": "spec.serviceAccountName",
}
_HOLD = f"""\
until {{ exec 3<>/dev/tcp/127.0.0.1/{HEALTH_PORT} && printf 'GET {READY_PATH} HTTP/1.0\\r\\n\\r\\n' >&3 \
&& read -r -t 1 -u 3 line && [[ $line == *' 200 '* ]]; }} 2>/dev/null; do sleep 0.1; done"""
"""Waits until the proxy is ready. The text never varies."""


class Sidecar(msgspec.Struct, frozen=True, gc=False):
    """What is added to one pod. Images, resources and the level of logs are MeshConfig's."""

    image: str
    """Has `envoy`; on old clusters also `bash` and `sleep`, which hold the application's start."""
    init_image: str
    """Has `nft`."""
    bootstrap: str
    """Envoy's bootstrap, as JSON. Its node is given beside it, as arguments."""
    audience: str
    """Whom the proxy's token is for: this mesh's control plane, and no other."""
    config_map: str
    """A ConfigMap of the pod's namespace: files that all proxies of the mesh read, such as the roots
    that they know the control plane by. They lie beside the token. Until it exists, the pod waits."""
    native: bool
    """Whether the cluster has native sidecars."""
    redirection: Redirection = Redirection()
    probes: Probes = Probes()
    at_pod_ip: bool = False
    """Whether the application is called at the pod's address and not at 127.0.0.1."""
    log_level: str = "error"
    resources: Resources = Resources()
    privileged: bool = False
    """Whether the init container may do everything."""
    metrics: bool = False
    """Whether Prometheus shall find the proxy."""
    uuid: str = ""
    """OSM's tools find proxies by it. Nothing is proved by it."""
    token_s: int = 3600
    """How long a token is valid; the kubelet renews it when 80 % are over."""


def is_injected(pod: Pod) -> bool:
    """Whether the pod has been through here."""
    names = {container.name for container in pod.spec.programs}
    volumes = {volume.name for volume in pod.spec.volumes}
    return {CONTAINER, INIT_CONTAINER} <= names and VOLUME in volumes


def with_sidecar(document: Document, sidecar: Sidecar) -> Document:
    """The pod with its proxy."""
    spec, metadata = _part(document, "spec"), _part(document, "metadata")
    init, containers = _list(spec, "initContainers"), _list(spec, "containers")
    proxy, redirect = _proxy(sidecar), _redirect(sidecar)
    if sidecar.native:
        init = [redirect, proxy, *init]
    else:
        init, containers = [*init, redirect], [proxy, *containers]
    volumes = [*_list(spec, "volumes"), _volume(sidecar)]
    added = {"initContainers": init, "containers": containers, "volumes": volumes}
    return {
        **document,
        "metadata": _metadata(metadata, spec, sidecar),
        "spec": {**spec, **added},
    }


def _metadata(metadata: Document, spec: Document, sidecar: Sidecar) -> Document:
    labels, annotations = _part(metadata, "labels"), _part(metadata, "annotations")
    if sidecar.uuid:
        labels = {**labels, UUID_LABEL: sidecar.uuid}
    if sidecar.metrics:
        annotations = {
            **annotations,
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(METRICS_PORT),
            "prometheus.io/path": "/stats/prometheus",
        }
    first = next(iter(_list(spec, "containers")), None)
    if not sidecar.native and isinstance(first, Mapping):
        # Else `kubectl logs` and `kubectl exec` would mean the proxy.
        annotations = {_DEFAULT_CONTAINER: str(first.get("name", "")), **annotations}
    parts = {"labels": labels, "annotations": annotations}
    return {**metadata, **{name: part for name, part in parts.items() if part}}


def _proxy(sidecar: Sidecar) -> Document:
    ready = {"httpGet": {"path": READY_PATH, "port": HEALTH_PORT}}
    container: dict[str, object] = {
        "name": CONTAINER,
        "image": sidecar.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["envoy"],
        "args": [*_arguments(sidecar)],
        "env": [_variable(name, field) for name, field in _FIELDS.items()],
        "ports": [{"name": name, "containerPort": port} for name, port in _ports(sidecar.probes)],
        "resources": _resources(sidecar),
        "readinessProbe": {**ready, "periodSeconds": 5},
        "securityContext": {
            "runAsUser": PROXY_USER,
            "runAsGroup": PROXY_USER,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": VOLUME, "mountPath": DIRECTORY, "readOnly": True}],
    }
    if sidecar.native:
        # An hour without a control plane is an hour of waiting, not of restarts.
        waits = {"periodSeconds": 1, "failureThreshold": 3600}
        return {**container, "restartPolicy": "Always", "startupProbe": {**ready, **waits}}
    hold = {"exec": {"command": ["bash", "-c", _HOLD]}}
    return {**container, "lifecycle": {"postStart": hold}}


def _arguments(sidecar: Sidecar) -> Iterator[str]:
    yield from proxy_arguments(sidecar.log_level, threads=_threads(sidecar.resources))
    yield from ("--service-node", "$(POD_NAMESPACE)/$(POD_NAME)")
    yield from ("--service-cluster", "$(SERVICE_ACCOUNT).$(POD_NAMESPACE)")
    # In the bootstrap are paths of probes: what looks like a variable there is none, nor is `$$` one `$`.
    yield from ("--config-yaml", sidecar.bootstrap.replace("$", "$$"))


def _threads(resources: Resources) -> int:
    """As many as may run at a time. Envoy's own default is all cores of the node."""
    limit = resources.limits.get("cpu")
    cores = None if limit is None else parse_quantity(str(limit))
    return THREADS if cores is None else max(1, math.ceil(cores))


def _ports(probes: Probes) -> Iterator[tuple[str, int]]:
    yield from (("proxy-admin", _ADMIN_PORT), ("proxy-inbound", INBOUND_PORT))
    yield ("proxy-metrics", METRICS_PORT)
    for kind in sorted({probe.kind for probe in probes.http}, key=lambda kind: kind.port):
        yield f"{kind}-port", kind.port
    yield (HEALTH_PORT_NAME, HEALTH_PORT)


def _redirect(sidecar: Sidecar) -> Document:
    rules = rules_of(sidecar.redirection, at_pod_ip=sidecar.at_pod_ip)
    security: dict[str, object] = {
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "readOnlyRootFilesystem": True,
    }
    if sidecar.privileged:
        security["privileged"] = True
    else:
        security["allowPrivilegeEscalation"] = False
        security["capabilities"] = {"drop": ["ALL"], "add": ["NET_ADMIN"]}
        security["seccompProfile"] = {"type": "RuntimeDefault"}
    return {
        "name": INIT_CONTAINER,
        "image": sidecar.init_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["nft", ruleset(rules)],
        "env": [_variable("POD_IP", _FIELDS["POD_IP"])],
        "resources": _resources(sidecar),
        "securityContext": security,
    }


def _resources(sidecar: Sidecar) -> Document:
    """Of both containers: a quota wants them of all, and what starts first counts for nothing more."""
    parts = {"limits": sidecar.resources.limits, "requests": sidecar.resources.requests}
    return {name: dict(part) for name, part in parts.items() if part}


def _variable(name: str, field: str) -> Document:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}


def _volume(sidecar: Sidecar) -> Document:
    token = {
        "audience": sidecar.audience,
        "expirationSeconds": sidecar.token_s,
        "path": TOKEN_FILE,
    }
    sources = [{"serviceAccountToken": token}, {"configMap": {"name": sidecar.config_map}}]
    return {"name": VOLUME, "projected": {"sources": sources}}


def _part(document: Document, name: str) -> Document:
    part = document.get(name)
    return part if isinstance(part, Mapping) else {}


def _list(document: Document, name: str) -> Sequence[object]:
    items = document.get(name)
    return items if isinstance(items, list) else []
