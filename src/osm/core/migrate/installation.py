"""The control planes of OSM that are there: their Deployments, versions and arguments."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from osm.core.install.names import (
    APP_LABEL,
    CA_SECRET,
    CONTROLLER,
    INSTANCE_LABEL,
    MESH_LABEL,
    VERSION_LABEL,
)
from osm.core.install.single_mesh import is_ours
from osm.core.migrate.documents import Document, items, label, name, namespace, of_kind, text
from osm.core.migrate.report import Entry, Severity

INJECTOR, BOOTSTRAP = "osm-injector", "osm-bootstrap"
APPS = (CONTROLLER, INJECTOR, BOOTSTRAP)
TRUST_DOMAIN = "cluster.local"
_KNOWN = ((1, 1), (1, 2))
_VERSION = re.compile(r"v?([0-9]+)\.([0-9]+)(?:\.[0-9]+)?(?:[-+].*)?")
_LOGGER = "fluent-bit"


class Former(msgspec.Struct, frozen=True, order=True):
    """A control plane of OSM."""

    mesh: str
    namespace: str
    version: str
    """As `v1.2.4`; empty when nothing says it."""
    arguments: Mapping[str, str]
    """Of osm-controller, without dashes; those of its two companions where it has none."""
    apps: tuple[str, ...]
    """Which of its Deployments were seen."""

    @property
    def trust_domain(self) -> str:
        return self.arguments.get("trust-domain") or TRUST_DOMAIN

    @property
    def provider(self) -> str:
        """What issues certificates: `tresor`, `vault` or `cert-manager`."""
        return self.arguments.get("certificate-manager") or "tresor"

    @property
    def ca_secret(self) -> str:
        return self.arguments.get("ca-bundle-secret-name") or CA_SECRET

    @property
    def title(self) -> str:
        return f"Deployment {self.namespace}/{CONTROLLER}"


def former_meshes(documents: Sequence[Document]) -> tuple[Former, ...]:
    """The control planes of OSM among all objects; ours is none."""
    by_place: dict[str, list[Document]] = {}
    for deployment in of_kind(documents, "Deployment", "apps"):
        if label(deployment, APP_LABEL) in APPS and not is_ours(dict(deployment)):
            by_place.setdefault(namespace(deployment), []).append(deployment)
    return tuple(_former(place, by_place[place]) for place in sorted(by_place))


def _former(place: str, deployments: list[Document]) -> Former:
    ordered = sorted(deployments, key=lambda each: APPS.index(label(each, APP_LABEL)))
    arguments: dict[str, str] = {}
    for deployment in reversed(ordered):
        arguments |= _arguments(deployment)
    return Former(
        mesh=next(_said(ordered, (MESH_LABEL, INSTANCE_LABEL)), "")
        or arguments.get("mesh-name", "osm"),
        namespace=place,
        version=_version(ordered, arguments),
        arguments=arguments,
        apps=tuple(label(each, APP_LABEL) for each in ordered),
    )


def _said(deployments: Iterable[Document], labels: Iterable[str]) -> Iterator[str]:
    return (said for key in labels for each in deployments if (said := label(each, key)))


def _version(deployments: list[Document], arguments: Mapping[str, str]) -> str:
    """By the label, which people see; else by what it is started with; else by its image's tag."""
    said = [*_said(deployments, (VERSION_LABEL,)), arguments.get("osm-version", "")]
    for deployment in deployments:
        for container in _containers(deployment):
            _, _, tag = text(container, "image").partition("@")[0].rpartition(":")
            said.append(tag)
    found = next((each for each in said if _VERSION.fullmatch(each)), "")
    return f"v{found.removeprefix('v')}" if found else ""


def _containers(deployment: Document) -> Sequence[Document]:
    return items(deployment, "spec", "template", "spec", "containers")


def _arguments(deployment: Document) -> dict[str, str]:
    """`--name=value`, `--name value` and `--name`, of the container that is named as the Deployment."""
    app = label(deployment, APP_LABEL)
    containers = [each for each in _containers(deployment) if text(each, "name") == app]
    given = [
        str(word)
        for each in containers
        for field in ("command", "args")
        for word in items(each, field)
    ]
    found: dict[str, str] = {}
    for word, after in pairwise([*given, ""]):
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            found[key] = value if equals else "" if after.startswith("-") else after
    return found


def judge_installation(former: Former, documents: Sequence[Document]) -> Iterator[Entry]:
    """The control plane itself: version, arguments, what stands beside it."""
    yield from _judge_version(former)
    yield from _judge_arguments(former)
    if missing := [app for app in APPS if app not in former.apps]:
        yield Entry(
            Severity.ACTION,
            "incomplete",
            former.title,
            "",
            f"there is no {' and no '.join(missing)} beside it: this installation is damaged, or not all "
            "was looked at",
            "Give all Deployments of its namespace, or look at the cluster itself.",
        )
    for deployment in of_kind(documents, "Deployment", "apps"):
        if namespace(deployment) == former.namespace:
            yield from _judge_beside(deployment)


def _judge_version(former: Former) -> Iterator[Entry]:
    found = _VERSION.fullmatch(former.version)
    if found is None:
        yield Entry(
            Severity.ACTION,
            "version-unknown",
            former.title,
            "",
            "neither its label app.kubernetes.io/version nor its arguments or image say which version of "
            "OSM it is",
            "Find out; what is said here is about v1.1 and v1.2.",
        )
    elif (int(found[1]), int(found[2])) in _KNOWN:
        message = (
            f"OSM {former.version}: its objects, labels, annotations and names are read as they are"
        )
        yield Entry(Severity.CARRY_OVER, "version", former.title, "", message)
    else:
        yield Entry(
            Severity.ACTION,
            "version-other",
            former.title,
            "",
            f"OSM {former.version} is neither v1.1 nor v1.2, which this check knows",
            "Upgrade it to v1.2.4 first, by OSM's own means.",
        )


def _judge_arguments(former: Former) -> Iterator[Entry]:
    field = "spec.template.spec.containers[0].args"
    given = former.arguments
    if former.trust_domain != TRUST_DOMAIN:
        yield Entry(
            Severity.ACTION,
            "trust-domain",
            former.title,
            field,
            f"its trust domain is {former.trust_domain}; a new mesh has {TRUST_DOMAIN} unless it is told",
            f"Install with --set osm.trustDomain={former.trust_domain}.",
        )
    if former.ca_secret != CA_SECRET:
        yield Entry(
            Severity.ACTION,
            "ca-secret-name",
            former.title,
            field,
            f"its root certificate is in Secret {former.ca_secret}",
            f"Install with --set osm.caBundleSecretName={former.ca_secret}, or copy it as {CA_SECRET}.",
        )
    if given.get("validate-traffic-target") == "false":
        yield Entry(
            Severity.ACTION,
            "validate-traffic-target",
            former.title,
            field,
            "TrafficTargets may name destinations of other namespaces",
            "Install with --set smi.validateTrafficTarget=false.",
        )
    if given.get("enable-reconciler", "false") != "false":
        yield Entry(
            Severity.ACTION,
            "reconciler",
            former.title,
            field,
            "its reconciler puts back the CustomResourceDefinitions and webhook configurations that it "
            "made, against whoever changes them",
            "Take --enable-reconciler off its Deployments before you install another mesh.",
        )


_BESIDE: Mapping[str, tuple[str, str]] = {
    "osm-prometheus": (
        "Prometheus",
        "Run your own before you remove OSM, and let it scrape the pods' annotations prometheus.io/*.",
    ),
    "osm-grafana": (
        "Grafana",
        "`osm dashboard` has a page; keep what you built in your own Grafana.",
    ),
    "jaeger": (
        "Jaeger",
        "Run your own, and name it in MeshConfig spec.observability.tracing.address.",
    ),
    "contour": (
        "Contour",
        "Install Contour by its own chart before you remove OSM; IngressBackends stay as they are.",
    ),
}


def _judge_beside(deployment: Document) -> Iterator[Entry]:
    found = next((each for key, each in _BESIDE.items() if name(deployment).endswith(key)), None)
    if found is not None:
        brought, instead = found
        message = f"{brought} was brought by OSM's chart, and goes with it; this mesh brings none"
        yield Entry(Severity.UNSUPPORTED, "chart-part", _title(deployment), "", message, instead)
    for container in _containers(deployment):
        if _LOGGER in text(container, "image"):
            yield Entry(
                Severity.UNSUPPORTED,
                "fluentbit",
                _title(deployment),
                "spec.template.spec.containers",
                "Fluent Bit ran in the control plane's pod and sent its logs on; here it does not",
                "Collect the logs of pods as you do for all others.",
            )


def _title(deployment: Document) -> str:
    return f"Deployment {namespace(deployment)}/{name(deployment)}"
