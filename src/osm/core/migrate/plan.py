"""How to take over: two ways, each with a way back.

What both rest on: an OSM proxy shows a certificate with a DNS name, and ours want a SPIFFE ID. So old and
new proxies never trust each other, whatever root they share, and calls between them go as calls from
outside of the mesh do: plain HTTP, let in by an IngressBackend.

OSM's chart is removed without its hooks: they would delete MeshConfig and the root, and put OSM's
CustomResourceDefinitions back. What OSM made without its chart, webhook configurations, is deleted by name.
"""

from collections.abc import Iterator, Sequence

from osm.core.api.mesh_keys import MONITORED_BY
from osm.core.install.names import CA_SECRET, MESH_CONFIG, Installation
from osm.core.migrate.documents import Document
from osm.core.migrate.installation import TRUST_DOMAIN, Former
from osm.core.migrate.pods import namespaces_of
from osm.core.migrate.report import Plan, Step
from osm.core.migrate.settings import mesh_config, setting

SUFFIX = "-next"
_SAVED = "osm-former"
_RESTART = "rollout restart deployment,statefulset,daemonset"
_OLD_PODS = (
    "kubectl get pods -A -o jsonpath='{range .items[?(@.spec.volumes[*].name=="
    '"envoy-bootstrap-config-volume")]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}\''
)


def plans(mesh: Former, documents: Sequence[Document]) -> tuple[Plan, ...]:
    """The ways for one mesh."""
    spaces = namespaces_of(mesh.mesh, documents) or ("NAMESPACE",)
    return (
        Plan(
            f"Mesh {mesh.mesh}, namespace by namespace: old and new side by side",
            tuple(_side_by_side(mesh, documents, spaces)),
        ),
        Plan(
            f"Mesh {mesh.mesh}, all at once: in a window of maintenance",
            tuple(_at_once(mesh, spaces)),
        ),
    )


def _side_by_side(
    mesh: Former, documents: Sequence[Document], spaces: tuple[str, ...]
) -> Iterator[Step]:
    next_one = Installation(mesh.mesh + SUFFIX, mesh.namespace + SUFFIX)
    new, place = next_one.mesh, next_one.namespace
    label = f"kubectl -n {mesh.namespace} label deployment osm-controller"
    yield _save(mesh)
    yield Step(
        "Make room",
        "OSM must let a second mesh be. Its bootstrap puts its CustomResourceDefinitions back whenever it "
        "starts; if it does meanwhile, run `osm install` again, as below.",
        (f"{label} --overwrite enforceSingleMesh=false",),
    )
    if mesh.provider == "tresor":
        yield Step(
            "Share the root",
            "The new control plane takes the root that it finds. So identities stay, and gateways that know "
            "the old root go on. It does not make old and new proxies trust each other.",
            (f"kubectl create namespace {place}", _restore_root(mesh, place)),
        )
    yield Step(
        "Install the new mesh beside the old one",
        "The CustomResourceDefinitions are replaced by wider ones, which OSM goes on reading. The settings "
        "are OSM's; the report says which of them to remove first.",
        (
            f"{_install(next_one, mesh)} --enforce-single-mesh=false",
            _restore_settings(place),
            f"osm check --mesh-name {new} --osm-namespace {place}",
        ),
    )
    yield _bridge(mesh, documents)
    for space in spaces:
        yield from _take_over(space, mesh.mesh, next_one)
    yield Step(
        "Remove OSM",
        "When the first command prints no pod any more. Then remove the IngressBackends of the time between.",
        (_OLD_PODS, *_remove(mesh)),
    )


def _take_over(space: str, old: str, new: Installation) -> Iterator[Step]:
    yield Step(
        f"Take over {space}",
        "Its pods come up with the new proxy, and its policies count in the new mesh. Until the last pod is "
        "new, requests to it may fail: OSM knows the namespace as its own no more, and its old and new pods "
        "do not trust each other. Choose the hour, and look at it before you go on.",
        (
            _label(space, new.mesh),
            f"kubectl -n {space} {_RESTART}",
            f"osm analyze -n {space} --osm-namespace {new.namespace}",
        ),
    )
    yield Step(
        f"The way back for {space}",
        "As long as OSM's control plane runs, in the other direction.",
        (
            _label(space, old),
            f"kubectl -n {space} {_RESTART}",
        ),
    )


def _label(space: str, mesh: str) -> str:
    """In one step, and with its annotations as they are."""
    return f"kubectl label namespace {space} --overwrite {MONITORED_BY}={mesh}"


def _bridge(mesh: Former, documents: Sequence[Document]) -> Step:
    egress = setting(mesh_config(mesh, documents), "traffic.enableEgress") == "true"
    outward = (
        "Mesh-wide egress is on, so callers on both sides may leave their mesh."
        if egress
        else "Mesh-wide egress is off: give callers on both sides an Egress for what they call across, or "
        "set spec.traffic.enableEgress in both MeshConfigs for this time."
    )
    return Step(
        "Let them call each other",
        "An old and a new proxy do not trust each other's certificates: OSM's have no SPIFFE ID. So each "
        "service that is called across needs an IngressBackend for this time: port.number is the target "
        "port, port.protocol http, sources of kind IPRange with the pods' range. These calls are plain and "
        f"have no identity, so TrafficTargets say nothing about them. {outward} Ports that are not HTTP "
        "cannot be let in so: move their callers and servers in one step, or exclude the port by "
        "openservicemesh.io/inbound-port-exclusion-list.",
    )


def _at_once(mesh: Former, spaces: tuple[str, ...]) -> Iterator[Step]:
    here = Installation(mesh.mesh, mesh.namespace)
    yield _save(mesh)
    yield Step(
        "Remove OSM's control plane",
        "Old proxies go on with what they know and learn of nothing more: from here until the last restart, "
        "requests may fail. Settings, root, policies and namespaces' labels stay. Pods that start before "
        "the next step is done have no proxy.",
        _remove(mesh),
    )
    yield Step(
        "Install the new mesh in its place",
        "Same name and namespace, so that settings, root and labels count as they are.",
        (
            _install(here, mesh),
            f"osm check --mesh-name {here.mesh} --osm-namespace {here.namespace}",
        ),
    )
    yield Step(
        "Start all pods anew",
        "Old and new proxies do not talk to each other, so do it for all namespaces at the same time.",
        tuple(f"kubectl -n {space} {_RESTART}" for space in spaces),
    )
    root = (_restore_root(mesh, mesh.namespace),) if mesh.provider == "tresor" else ()
    yield Step(
        "The way back",
        "Remove this mesh, and install OSM with the values that it had. Its bootstrap puts its definitions "
        "back; the versions in which objects are stored are all among them. Then start all pods anew. What "
        "is there already, such as the root, need not be restored.",
        (
            f"osm uninstall mesh --mesh-name {here.mesh} --osm-namespace {here.namespace}",
            *root,
            f"helm -n {here.namespace} install {here.mesh} OSM-CHART -f {_SAVED}/values.yaml",
            _restore_settings(here.namespace),
        ),
    )


def _save(mesh: Former) -> Step:
    place = mesh.namespace
    settings = f"kubectl -n {place} get meshconfig {MESH_CONFIG}"
    secret = f"kubectl -n {place} get secret {mesh.ca_secret} -o jsonpath="
    keys = (
        (
            f"{secret}'{{.data.ca\\.crt}}' | base64 -d > {_SAVED}/ca.crt",
            f"{secret}'{{.data.private\\.key}}' | base64 -d > {_SAVED}/private.key",
        )
        if mesh.provider == "tresor"
        else ()
    )
    return Step(
        "Save settings and root",
        "OSM's removal deletes them where its hooks run. Nobody else may read the key; delete it afterwards.",
        (
            f"mkdir -m 700 {_SAVED}",
            f"helm -n {place} get values {mesh.mesh} -o yaml > {_SAVED}/values.yaml",
            f"{settings} -o jsonpath='{{.spec}}' > {_SAVED}/settings.json",
            *keys,
        ),
    )


def _restore_root(mesh: Former, place: str) -> str:
    files = " ".join(f"--from-file={_SAVED}/{key}" for key in ("ca.crt", "private.key"))
    return f"kubectl -n {place} create secret generic {mesh.ca_secret} {files}"


def _restore_settings(place: str) -> str:
    said = f'"{{\\"spec\\": $(cat {_SAVED}/settings.json)}}"'
    return f"kubectl -n {place} patch meshconfig {MESH_CONFIG} --type merge -p {said}"


def _remove(mesh: Former) -> tuple[str, ...]:
    here = Installation(mesh.mesh, mesh.namespace)
    mutating = mesh.arguments.get("webhook-config-name") or here.mutating_webhook
    validating = mesh.arguments.get("validator-webhook-config") or here.validating_webhook
    return (
        f"helm -n {mesh.namespace} uninstall {mesh.mesh} --no-hooks",
        f"kubectl delete mutatingwebhookconfiguration {mutating}",
        f"kubectl delete validatingwebhookconfiguration {validating}",
    )


def _install(new: Installation, mesh: Former) -> str:
    """What makes the new control plane as the old one was."""
    words = [
        f"osm install --mesh-name {new.mesh} --osm-namespace {new.namespace} --force-conflicts"
    ]
    if mesh.trust_domain != TRUST_DOMAIN:
        words.append(f"--set osm.trustDomain={mesh.trust_domain}")
    if mesh.ca_secret != CA_SECRET:
        words.append(f"--set osm.caBundleSecretName={mesh.ca_secret}")
    if mesh.arguments.get("validate-traffic-target") == "false":
        words.append("--set smi.validateTrafficTarget=false")
    return " ".join(words)
