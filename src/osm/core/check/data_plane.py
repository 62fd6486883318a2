"""Checks of the mesh's namespaces and proxies."""

from collections.abc import Sequence

from osm.core.check.facts import Facts, Unseen
from osm.core.check.outcome import Check, Found, Group, failed, fine, skipped, warned

_SHOWN = 10
_ON = ("enabled", "yes", "true")
_KNOWN = (*_ON, "disabled", "no", "false", "")
_STRICT = ("baseline", "restricted")


def _has_namespaces(facts: Facts) -> Found:
    if isinstance(facts.namespaces, Unseen):
        return skipped(facts.namespaces.why)
    if not facts.namespaces:
        return warned("no namespace is in the mesh yet")
    return fine(_names([each.name for each in facts.namespaces]))


def _words(facts: Facts) -> Found:
    if isinstance(facts.namespaces, Unseen):
        return skipped(facts.namespaces.why)
    wrong = [
        f"namespace {each.name}: sidecar-injection is {each.injection[:40]!r}"
        for each in facts.namespaces
        if each.injection.lower() not in _KNOWN
    ]
    return failed(*wrong)


def _not_ignored(facts: Facts) -> Found:
    if isinstance(facts.namespaces, Unseen):
        return skipped(facts.namespaces.why)
    return warned(
        *(
            f"namespace {each.name} has the label openservicemesh.io/ignore: its pods get no proxy"
            for each in facts.namespaces
            if each.ignored
        )
    )


def _levels(facts: Facts) -> Found:
    if isinstance(facts.namespaces, Unseen):
        return skipped(facts.namespaces.why)
    return failed(
        *(
            f"namespace {each.name} enforces {each.level}, which forbids NET_ADMIN"
            for each in facts.namespaces
            if each.level in _STRICT and each.injection.lower() in _ON
        )
    )


def _injects(facts: Facts) -> Found:
    trial = facts.trial
    if isinstance(trial, Unseen):
        return skipped(trial.why)
    if trial is None:
        return skipped("no namespace is in the mesh with injection enabled")
    if trial.refusal:
        return failed(f"a pod for namespace {trial.namespace} was refused: {trial.refusal}")
    if not trial.injected:
        return failed(f"a pod for namespace {trial.namespace} got no proxy")
    return fine(f"tried in namespace {trial.namespace}, without making a pod")


def _have_proxy(facts: Facts) -> Found:
    if isinstance(facts.proxies, Unseen):
        return skipped(facts.proxies.why)
    bare = [
        f"{each.namespace}/{each.pod}" for each in facts.proxies if not (each.image or each.former)
    ]
    return warned(*(f"pod {name} was made before, and has no proxy" for name in bare[:_SHOWN]))


def _ready(facts: Facts) -> Found:
    if isinstance(facts.proxies, Unseen):
        return skipped(facts.proxies.why)
    meshed = [each for each in facts.proxies if each.image]
    bad = [f"pod {p.namespace}/{p.pod}: {p.why_unready}" for p in meshed if p.why_unready]
    return warned(*bad[:_SHOWN]) if bad else fine(f"{len(meshed)} pods")


def _same_image(facts: Facts) -> Found:
    if isinstance(facts.proxies, Unseen):
        return skipped(facts.proxies.why)
    images: dict[str, int] = {}
    for each in facts.proxies:
        if each.image:
            images[each.image] = images.get(each.image, 0) + 1
    if len(images) < 2:
        return fine(*images)
    return warned(*(f"{count} with {image}" for image, count in sorted(images.items())))


def _connected(facts: Facts) -> Found:
    if isinstance(facts.disconnected, Unseen):
        return skipped(facts.disconnected.why)
    return failed(
        *(f"the proxy of {name} is not connected" for name in facts.disconnected[:_SHOWN])
    )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


NAMESPACES = Group(
    "namespaces",
    (
        Check(
            "namespaces-in-mesh",
            "namespaces are in the mesh",
            "`osm namespace add NAME` adds one.",
            _has_namespaces,
            before=False,
        ),
        Check(
            "injection-understood",
            "their annotations about injection are understood",
            "Write enabled or disabled. Until then no pod can be made there.",
            _words,
            before=False,
        ),
        Check(
            "namespaces-not-ignored",
            "none of them is ignored",
            "Remove the label, or the namespace from the mesh.",
            _not_ignored,
            before=False,
        ),
        Check(
            "pod-security-fits",
            "their pod security lets proxies in",
            "The init container needs NET_ADMIN: label the namespace "
            "pod-security.kubernetes.io/enforce=privileged.",
            _levels,
            before=False,
        ),
        Check(
            "injection-works",
            "new pods get a proxy",
            "Look at the webhooks above, and at the pods of the control plane.",
            _injects,
            before=False,
        ),
    ),
)
PROXIES = Group(
    "data-plane",
    (
        Check(
            "pods-have-proxies",
            "all pods that should have a proxy have one",
            "`kubectl rollout restart` of their workloads gives them one.",
            _have_proxy,
            before=False,
        ),
        Check(
            "proxied-pods-ready",
            "pods with a proxy are ready",
            "`kubectl describe pod` says more.",
            _ready,
            before=False,
        ),
        Check(
            "proxies-alike",
            "all proxies have the same image",
            "`kubectl rollout restart` of workloads brings their proxies to the newest.",
            _same_image,
            before=False,
        ),
        Check(
            "proxies-connected",
            "proxies are connected to the control plane",
            "They keep what they know, and do not see changes. `kubectl logs POD -c envoy` says why.",
            _connected,
            before=False,
        ),
    ),
)
