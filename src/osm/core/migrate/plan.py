"""How to take over: two ways, each with a way back.

Side by side, OSM's proxies and ours trust each other by the root that both control planes share, and by
`osm.formerMeshName`; both control planes know all namespaces the whole time. So old and new pods call each
other, and each namespace goes there and back by itself.

OSM's chart is removed without its hooks: they would delete MeshConfig and the root, and put OSM's
CustomResourceDefinitions back. What OSM made without its chart, webhook configurations, is deleted by name.
"""

import json
from collections.abc import Iterator, Sequence

from osm.core.inject.former import FORMER_VOLUME
from osm.core.install.names import CA_SECRET, MESH_CONFIG, Installation
from osm.core.migrate.documents import Document
from osm.core.migrate.installation import TRUST_DOMAIN, Former
from osm.core.migrate.order import callers_first
from osm.core.migrate.pods import served_namespaces
from osm.core.migrate.report import Plan, Step
from osm.core.migrate.settings import mesh_config, setting

SUFFIX = "-next"
_SAVED = "osm-former"
_IMAGES = ("envoyImage", "envoyWindowsImage", "initContainerImage")
_WAIT = "5m"
"""While pods start, some of their proxies are not connected yet."""
_RESTART = "rollout restart deployment,statefulset,daemonset"
_OLD_PODS = (
    "kubectl get pods -A -o custom-columns="
    "'NAMESPACE:.metadata.namespace,NAME:.metadata.name,VOLUMES:.spec.volumes[*].name' "
    f"| awk '/{FORMER_VOLUME}/ {{ print $1 \"/\" $2 }}'"
)


def plans(mesh: Former, documents: Sequence[Document]) -> tuple[Plan, ...]:
    """The ways for one mesh. Side by side needs the root's key, which only Tresor has in a Secret."""
    spaces = callers_first(served_namespaces(mesh.mesh, documents), documents) or ("NAMESPACE",)
    at_once = Plan(
        f"Mesh {mesh.mesh}, all at once: in a window of maintenance",
        tuple(_at_once(mesh, spaces)),
    )
    if mesh.provider != "tresor":
        return (at_once,)
    side_by_side = Plan(
        f"Mesh {mesh.mesh}, namespace by namespace: old and new side by side",
        tuple(_side_by_side(mesh, documents, spaces)),
    )
    return side_by_side, at_once


def _side_by_side(
    mesh: Former, documents: Sequence[Document], spaces: tuple[str, ...]
) -> Iterator[Step]:
    new = Installation(mesh.mesh + SUFFIX, mesh.namespace + SUFFIX)
    here = f"--mesh-name {new.mesh} --osm-namespace {new.namespace}"
    yield _save(mesh)
    yield Step(
        "Share the root",
        "The new control plane takes the root that it finds, so old and new proxies can trust each other.",
        (f"kubectl create namespace {new.namespace}", _restore_root(mesh, new.namespace)),
    )
    yield Step(
        "Install the new mesh beside the old one",
        f"It looks at the namespaces of mesh {mesh.mesh} too, and changes nothing there yet. Its name stays, "
        "so take another one throughout if you like. The CustomResourceDefinitions are replaced by wider "
        "ones, which OSM goes on reading. The settings are OSM's, but for images.",
        (
            f"{_install(new, mesh)} --set osm.formerMeshName={mesh.mesh}",
            _restore_settings(new.namespace),
            *_without_images(new.namespace, mesh_config(mesh, documents)),
            f"osm check {here} --wait {_WAIT}",
        ),
    )
    for space in spaces:
        if space != mesh.namespace:  # that one's pods end with OSM
            yield from _take_over(space, mesh, new)
    yield Step(
        "Remove OSM",
        "When the first command prints no pod any more; after this, to go back is to install OSM anew. Its "
        "webhooks go first, since nobody answers for them afterwards. What else is in namespace "
        f"{mesh.namespace} may go, too.",
        (_OLD_PODS, *reversed(_remove(mesh))),
    )
    yield Step(
        "End the take-over",
        "The namespaces become the new mesh's own, and certificates without a SPIFFE ID count no more. No "
        "pod starts again. Where namespaces are written in files, write their new labels there.",
        (
            f"osm namespace add {' '.join(spaces)} --mesh-name {new.mesh}",
            f"osm upgrade {here} --set osm.formerMeshName=",
            f"osm check {here} --wait {_WAIT}",
        ),
    )


def _take_over(space: str, mesh: Former, new: Installation) -> Iterator[Step]:
    yield Step(
        f"Take over {space}",
        "Its pods come up with the new proxy one after another, as in any roll-out, and call old ones, and "
        "are called by them. Take callers before those whom they call: while servers start anew, OSM's "
        "proxies lose requests, as they always did. Pods that belong to nothing, and Jobs, you make anew "
        "yourself. Go on when `osm check` names no pod of it with OSM's proxy any more.",
        (
            f"osm namespace add {space} --mesh-name {new.mesh}",
            f"kubectl -n {space} {_RESTART}",
            f"osm check --mesh-name {new.mesh} --osm-namespace {new.namespace} --wait {_WAIT}",
            f"osm analyze -n {space} --osm-namespace {new.namespace}",
        ),
    )
    yield Step(
        f"The way back for {space}",
        f"As long as OSM's control plane runs: its pods get proxies of mesh {mesh.mesh} again.",
        (
            f"osm namespace remove {space} --mesh-name {new.mesh}",
            f"kubectl -n {space} {_RESTART}",
        ),
    )


def _without_images(place: str, config: Document | None) -> tuple[str, ...]:
    """OSM's images of proxies are no use here."""
    named = [each for each in _IMAGES if setting(config, f"sidecar.{each}")]
    if not named:
        return ()
    nothing = json.dumps({"spec": {"sidecar": dict.fromkeys(named)}})
    return (f"kubectl -n {place} patch meshconfig {MESH_CONFIG} --type merge -p '{nothing}'",)


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
