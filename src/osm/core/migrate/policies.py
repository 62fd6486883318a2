"""Policies: what reads the same and means something else (`reference/osm.md` §13, decision 3)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from osm.core.api.decode import decode
from osm.core.api.registry import kind_of
from osm.core.migrate.documents import (
    Document,
    group,
    items,
    kind,
    name,
    namespace,
    of_kind,
    part,
    text,
    title,
)
from osm.core.migrate.report import Entry, Severity
from osm.core.model.groups import ACCESS, CONFIG, POLICY, SPECS, SPLIT
from osm.core.model.origin import Severity as FindingSeverity

_GROUPS = frozenset({ACCESS, CONFIG, POLICY, SPECS, SPLIT})
_ROUTES, _TCP = "HTTPRouteGroup", "TCPRoute"


def judge_policies(
    documents: Sequence[Document], namespaces: frozenset[str], *, permissive: bool
) -> Iterator[Entry]:
    """All policies of the mesh's namespaces, each by itself and with the others."""
    mine = [each for each in documents if group(each) in _GROUPS]
    for document in mine:
        yield from _judge_decoded(document)
        if kind(document) != "MeshConfig" and namespace(document) not in namespaces:
            yield Entry(
                Severity.CHANGES,
                "outside-of-mesh",
                title(document),
                "metadata.namespace",
                "no mesh has its namespace: OSM did not look at it, and neither does this mesh",
            )
    for target in of_kind(mine, "TrafficTarget", ACCESS):
        yield from _judge_target(target, permissive=permissive)
    for routes in of_kind(mine, _ROUTES, SPECS):
        yield from _judge_routes(routes)
    yield from _judge_splits(mine)
    for egress in of_kind(mine, "Egress", POLICY):
        yield from _judge_egress(egress)
    for backend in of_kind(mine, "IngressBackend", POLICY):
        yield from _judge_backend(backend)
    for setting in of_kind(mine, "UpstreamTrafficSetting", POLICY):
        yield from _judge_upstream(setting)
    for telemetry in of_kind(mine, "Telemetry", POLICY):
        yield from _judge_telemetry(telemetry)


def _judge_decoded(document: Document) -> Iterator[Entry]:
    """What our webhook would say of it; a kind that is none of ours is the definitions' matter."""
    if kind_of(group(document), kind(document)) is None:
        return
    found = [f for f in decode(document).findings if f.severity is FindingSeverity.ERROR]
    for finding in found:
        field = finding.origin.field if finding.origin else ""
        yield Entry(
            Severity.ACTION,
            "refused-object",
            title(document),
            field,
            f"it would be refused: {finding.message} [{finding.code}]",
            finding.hint or f"`osm analyze --page {finding.code}` tells more.",
        )
    if not found:
        yield Entry(Severity.CARRY_OVER, "object", title(document), "", "it is read as it is")


def _judge_target(target: Document, *, permissive: bool) -> Iterator[Entry]:
    rules = items(target, "spec", "rules")
    later = "; with permissive mode on it has no effect yet" if permissive else ""
    kinds = {text(rule, "kind") for rule in rules}
    for index, rule in enumerate(rules):
        if text(rule, "kind") == _ROUTES and not items(rule, "matches"):
            yield Entry(
                Severity.CHANGES,
                "no-matches",
                title(target),
                f"spec.rules[{index}].matches",
                "it names no match of its HTTPRouteGroup: here that allows all of them, as SMI says; OSM "
                f"allowed none{later}",
                "Name the matches that are meant, or remove the rule.",
            )
    if _ROUTES in kinds and _TCP not in kinds:
        yield Entry(
            Severity.CHANGES,
            "tcp-by-http-routes",
            title(target),
            "spec.rules",
            "OSM let its sources open the destination's TCP ports too; here TCP needs a TCPRoute, and HTTP "
            f"ports are not concerned{later}",
            "If these sources call ports that are not HTTP, add a TCPRoute to its rules.",
        )


def _judge_routes(routes: Document) -> Iterator[Entry]:
    spec = part(routes, "spec")
    for index, match in enumerate(items({"spec": spec}, "spec", "matches")):
        path = text(match, "pathRegex")
        if any(each in path for each in ("..", "//", "%")):
            yield Entry(
                Severity.CHANGES,
                "path-forms",
                title(routes),
                f"spec.matches[{index}].pathRegex",
                "paths are put into their plain form before a rule looks at them: `..`, `//` and needless "
                "escapes are gone by then, so what this regex waits for may never come",
                "Write it for plain paths.",
            )


def _judge_splits(documents: Sequence[Document]) -> Iterator[Entry]:
    roots: Mapping[tuple[str, str], list[Document]] = defaultdict(list)
    for split in of_kind(documents, "TrafficSplit", SPLIT):
        service = text(split, "spec", "service")
        roots[namespace(split), service.partition(".")[0]].append(split)
        weights = [each.get("weight") for each in items(split, "spec", "backends")]
        if weights and not any(weights):
            yield Entry(
                Severity.CHANGES,
                "no-weight",
                title(split),
                "spec.backends",
                "all weights are 0: requests get 503",
                "Give one of them a weight.",
            )
    for splits in roots.values():
        if len(splits) < 2:
            continue
        oldest = min(splits, key=lambda e: (text(e, "metadata", "creationTimestamp"), name(e)))
        for split in splits:
            if split is not oldest:
                yield Entry(
                    Severity.CHANGES,
                    "several-splits",
                    title(split),
                    "spec.service",
                    f"{title(oldest)} is about the same service and older: that one counts; with OSM the "
                    "first that was listed",
                    "Make one of them.",
                )


def _judge_egress(egress: Document) -> Iterator[Entry]:
    protocols = {text(each, "protocol").lower() for each in items(egress, "spec", "ports")}
    if "http" in protocols and items(egress, "spec", "ipAddresses"):
        yield Entry(
            Severity.CHANGES,
            "egress-addresses",
            title(egress),
            "spec.ipAddresses",
            "they count for http too: requests on connections to other addresses get 403; OSM did not look "
            "at them",
            "Remove them if the hosts are what is meant.",
        )


def _judge_backend(backend: Document) -> Iterator[Entry]:
    if items(backend, "spec", "matches"):
        yield Entry(
            Severity.CHANGES,
            "ingress-matches",
            title(backend),
            "spec.matches",
            "they count: only requests that fit come in; OSM never looked at them",
        )
    for index, each in enumerate(items(backend, "spec", "backends")):
        https = text(each, "port", "protocol").lower() == "https"
        tls = part(each, "tls")
        if https and not tls.get("skipClientCertValidation"):
            yield Entry(
                Severity.ACTION,
                "gateway-certificate",
                title(backend),
                f"spec.backends[{index}].tls",
                "its gateway shows a client certificate, which must come from the new mesh's root",
                "Copy the root before you install (see the plan), and keep the gateway's certificate valid.",
            )


def _judge_upstream(setting: Document) -> Iterator[Entry]:
    routes = items(setting, "spec", "httpRoutes")
    if any(part(each, "rateLimit", "local") for each in routes):
        yield Entry(
            Severity.CHANGES,
            "route-limits",
            title(setting),
            "spec.httpRoutes",
            "a route's limit counts for all methods together; with OSM for each method by itself",
            "Raise it if callers use several methods.",
        )


def _judge_telemetry(telemetry: Document) -> Iterator[Entry]:
    if part(telemetry, "spec", "selector"):
        yield Entry(
            Severity.CHANGES,
            "telemetry-selector",
            title(telemetry),
            "spec.selector",
            "it is about pods of its own namespace; in the control plane's namespace about all. With OSM's "
            "main branch it was about all namespaces wherever it stood",
        )


_ANYWAY: tuple[tuple[str, str, str], ...] = (
    (
        "access-log",
        "proxies log refused requests only; OSM's logged every request to stdout",
        "Where you need all, write a Telemetry with `accessLog`.",
    ),
    (
        "request-id",
        "no x-request-id is made unless tracing is on; one that an application sends passes",
        "",
    ),
    (
        "server-header",
        "callers from outside see the application's own `server` header; OSM's proxy said `envoy` there",
        "",
    ),
    (
        "readiness",
        "a pod is ready when its proxy is too; OSM's had no probe, and applications could start before it",
        "",
    ),
)


def behaviour(*, permissive: bool) -> Iterator[Entry]:
    """What is different whatever is written."""
    for code, message, to_do in _ANYWAY:
        yield Entry(Severity.CHANGES, code, "", "", message, to_do)
    if not permissive:
        yield Entry(
            Severity.CHANGES,
            "any-rule-allows",
            "",
            "",
            "a request that any TrafficTarget allows passes; with OSM the first route that fitted decided, "
            "even for the wrong source",
        )
