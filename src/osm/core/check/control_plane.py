"""Checks of an installed control plane: pods, webhooks, certificates, who writes."""

from datetime import timedelta

from osm.core.check.facts import ControlPlane, Facts, Unseen
from osm.core.check.outcome import Check, Found, Group, failed, fine, skipped, warned
from osm.core.check.versions import minor
from osm.core.install.names import CONTROLLER, INJECTOR_SERVICE, MESH_CONFIG, VALIDATOR_SERVICE

SERVICES = (CONTROLLER, INJECTOR_SERVICE, VALIDATOR_SERVICE)
_SOON = timedelta(days=60)
_RESTARTS = 5


def plane_of(facts: Facts) -> ControlPlane | None:
    """The control plane that is meant, if it is known."""
    planes = facts.planes if isinstance(facts.planes, tuple) else ()
    return next((each for each in planes if each.installation == facts.installation), None)


def _installed(facts: Facts) -> Found:
    if isinstance(facts.planes, Unseen):
        return failed(facts.planes.why)
    if plane_of(facts) is not None:
        return fine()
    there = [
        f"mesh {each.installation.mesh} is in namespace {each.installation.namespace}"
        for each in facts.planes
    ]
    here = facts.installation
    return failed(f"there is no mesh {here.mesh} in namespace {here.namespace}", *there)


def _rolled_out(facts: Facts) -> Found:
    plane = plane_of(facts)
    return failed(plane.why_unready) if plane and plane.why_unready else fine()


def _pods(facts: Facts) -> Found:
    if isinstance(facts.pods, Unseen):
        return skipped(facts.pods.why)
    if not facts.pods:
        return failed("there is no pod of the control plane")
    bad = [f"pod {each.name}: {each.why_unready}" for each in facts.pods if each.why_unready]
    return failed(*bad) if bad else fine(f"{len(facts.pods)} pods")


def _steady(facts: Facts) -> Found:
    if isinstance(facts.pods, Unseen):
        return skipped(facts.pods.why)
    return warned(
        *(
            f"pod {each.name} was started again {each.restarts} times"
            for each in facts.pods
            if each.restarts >= _RESTARTS
        )
    )


def _available(facts: Facts) -> Found:
    if isinstance(facts.pods, Unseen):
        return skipped(facts.pods.why)
    if len(facts.pods) < 2:
        return warned("there is one replica: while it is away, no new pod of the mesh starts")
    if len({each.node for each in facts.pods}) == 1:
        return warned(f"all replicas are on node {facts.pods[0].node}")
    return fine()


def _services(facts: Facts) -> Found:
    if isinstance(facts.services, Unseen):
        return skipped(facts.services.why)
    return failed(
        *(f"Service {name} is missing" for name in SERVICES if name not in facts.services)
    )


def _config(facts: Facts) -> Found:
    if isinstance(facts.has_config, Unseen):
        return skipped(facts.has_config.why)
    namespace = facts.installation.namespace
    return (
        fine() if facts.has_config else failed(f"MeshConfig {namespace}/{MESH_CONFIG} is missing")
    )


def _versions(facts: Facts) -> Found:
    plane = plane_of(facts)
    if plane is None or not plane.version:
        return skipped("the control plane does not say its version")
    if minor(plane.version) != minor(facts.client_version):
        return warned(f"this osm is {facts.client_version}, the control plane {plane.version}")
    return fine(plane.version)


def _hooked(facts: Facts) -> Found:
    if isinstance(facts.webhooks, Unseen):
        return skipped(facts.webhooks.why)
    here = facts.installation
    there = {each.configuration for each in facts.webhooks}
    missing = [n for n in (here.mutating_webhook, here.validating_webhook) if n not in there]
    return failed(*(f"webhook configuration {name} is missing" for name in missing))


def _reachable(facts: Facts) -> Found:
    if isinstance(facts.webhooks, Unseen):
        return skipped(facts.webhooks.why)
    return failed(
        *(
            f"no ready pod stands behind Service {each.service}, which {each.configuration} calls"
            for each in facts.webhooks
            if not each.endpoints
        )
    )


def _bundles(facts: Facts) -> Found:
    if isinstance(facts.webhooks, Unseen):
        return skipped(facts.webhooks.why)
    if isinstance(facts.root, Unseen):
        return skipped(facts.root.why)
    wrong = []
    for each in facts.webhooks:
        if not each.bundle:
            wrong.append(f"{each.configuration} has no caBundle yet")
        elif facts.root is not None and facts.root.pem.strip() not in each.bundle:
            wrong.append(f"{each.configuration} trusts another root than the mesh's")
    return failed(*wrong)


def _rooted(facts: Facts) -> Found:
    if isinstance(facts.root, Unseen):
        return skipped(facts.root.why)
    if facts.root is None:
        return failed("there is no root certificate yet: the control plane makes it when it starts")
    if facts.now >= facts.root.not_after:
        return failed(f"it ended on {facts.root.not_after:%Y-%m-%d %H:%M} UTC")
    if facts.now < facts.root.not_before:
        return failed(f"it begins on {facts.root.not_before:%Y-%m-%d %H:%M} UTC: is a clock wrong?")
    return fine(f"until {facts.root.not_after:%Y-%m-%d}")


def _lasts(facts: Facts) -> Found:
    if isinstance(facts.root, Unseen):
        return skipped(facts.root.why)
    if facts.root is None or facts.root.not_after - facts.now > _SOON:
        return fine()
    days = max(0, (facts.root.not_after - facts.now).days)
    return warned(f"it ends in {days} days, on {facts.root.not_after:%Y-%m-%d}")


def _led(facts: Facts) -> Found:
    if isinstance(facts.lease, Unseen):
        return skipped(facts.lease.why)
    if facts.lease is None or not facts.lease.holder:
        return failed("no replica writes: nobody holds the lease")
    renewed = facts.lease.renewed
    if renewed is None or facts.now - renewed > 2 * timedelta(seconds=facts.lease.duration_s):
        when = f"{renewed:%Y-%m-%d %H:%M:%S} UTC" if renewed else "never"
        return failed(f"{facts.lease.holder} held it last: {when}")
    return fine(f"{facts.lease.holder} writes")


_LOGS = f"`kubectl logs -n <osm-namespace> -l app={CONTROLLER}` may say why."

CONTROL_PLANE = Group(
    "control-plane",
    (
        Check(
            "mesh-installed",
            "the mesh is installed",
            "Install it with `osm install`, or say which one: --mesh-name, --osm-namespace.",
            _installed,
            before=False,
            fatal=True,
        ),
        Check("rolled-out", "the Deployment is rolled out", _LOGS, _rolled_out, before=False),
        Check("pods-ready", "its pods are ready", _LOGS, _pods, before=False),
        Check("pods-steady", "its pods keep running", _LOGS, _steady, before=False),
        Check(
            "highly-available",
            "one pod may go away",
            "`osm upgrade --preset ha` gives it more replicas.",
            _available,
            before=False,
        ),
        Check(
            "services-there",
            "its Services exist",
            "`osm upgrade` makes them again.",
            _services,
            before=False,
        ),
        Check(
            "config-there",
            "the mesh has its MeshConfig",
            "`osm upgrade` makes it again when it is missing.",
            _config,
            before=False,
        ),
        Check(
            "same-version",
            "this osm and the control plane have the same version",
            "`osm upgrade` brings the control plane to this osm's version.",
            _versions,
            before=False,
        ),
        Check(
            "lease-held",
            "one replica writes for all",
            "Status and webhook configurations stay as they are until a replica takes the lease. "
            + _LOGS,
            _led,
            before=False,
        ),
    ),
)
WEBHOOKS = Group(
    "webhooks",
    (
        Check(
            "webhooks-there",
            "the API server knows the mesh's webhooks",
            "`osm upgrade` makes them again.",
            _hooked,
            before=False,
        ),
        Check(
            "webhooks-reachable",
            "ready pods stand behind the webhooks",
            "Until then pods of the mesh's namespaces cannot be made: they would have no proxy.",
            _reachable,
            before=False,
        ),
        Check(
            "webhooks-trusted",
            "the API server trusts them",
            "The replica that writes puts the mesh's root into them. " + _LOGS,
            _bundles,
            before=False,
        ),
    ),
)
CERTIFICATES = Group(
    "certificates",
    (
        Check(
            "root-valid",
            "the mesh's root certificate is valid",
            "All certificates of the mesh hang on it: without it no proxy trusts another.",
            _rooted,
            before=False,
        ),
        Check(
            "root-lasts",
            "it is valid for 60 more days",
            "Plan its rotation now: proxies must know the next root before this one ends.",
            _lasts,
            before=False,
        ),
    ),
)
