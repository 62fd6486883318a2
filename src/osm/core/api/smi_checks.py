"""What one SMI object must fulfil beyond its shape (`reference/osm.md` §1.1, §1.2)."""

from collections import Counter
from collections.abc import Iterator, Sequence

from osm.core.api import codes
from osm.core.api.problem import Path, Problem
from osm.core.api.quantity import whole_weights
from osm.core.api.scalars import check_header_name, check_port
from osm.core.api.smi_forms import (
    GREATEST_TOTAL_WEIGHT,
    BackendForm,
    DestinationForm,
    Group,
    GroupV1Alpha1,
    MatchForm,
    RuleForm,
    Split,
    SplitV1Alpha1,
    SubjectForm,
    Target,
    TargetV1Alpha1,
    weight_of,
)
from osm.core.model.origin import Severity

RULE_KINDS = ("HTTPRouteGroup", "TCPRoute")
LONGEST_HEADER_NAME = 256


def target_problems(form: TargetV1Alpha1 | Target) -> Iterator[Problem]:
    """Subjects are service accounts, rules routes, and the destination is of the same namespace."""
    if isinstance(form, Target):
        parts = form.spec.destination, form.spec.sources, form.spec.rules
        top: Path = ("spec",)
        called = "rules"
    else:
        parts = form.destination, form.sources, form.specs
        top, called = (), "specs"
    destination, sources, rules = parts
    yield from _destination_problems(destination, form.metadata.namespace, (*top, "destination"))
    for index, source in enumerate(sources):
        yield from _kind_problems(source, (*top, "sources", index, "kind"), "source")
    for index, rule in enumerate(rules):
        yield from _rule_problems(rule, (*top, called, index))
    for name, given in (("sources", sources), (called, rules)):
        if not given:
            yield Problem(
                (*top, name),
                codes.GRANTS_NOTHING,
                f"without `{name}` this TrafficTarget allows nothing",
                "Add at least one, or delete the object.",
                Severity.WARNING,
            )


def _destination_problems(form: DestinationForm, namespace: str, path: Path) -> Iterator[Problem]:
    yield from _kind_problems(form, (*path, "kind"), "destination")
    if form.namespace and form.namespace != namespace:
        yield Problem(
            (*path, "namespace"),
            codes.DESTINATION_NAMESPACE,
            f"the destination is in namespace {form.namespace}, this TrafficTarget in {namespace}",
            f"A TrafficTarget stands in its destination's namespace: `metadata.namespace: "
            f"{form.namespace}`.",
        )
    if form.port:
        text = str(form.port)
        if len(text) > 5 or not text.isdecimal() or check_port(int(text)):
            yield Problem(
                (*path, "port"),
                codes.PORT,
                f"{text[:40]!r} is no port: ports are numbers from 1 to 65535",
            )


def _kind_problems(form: SubjectForm | DestinationForm, path: Path, role: str) -> Iterator[Problem]:
    if form.kind != "ServiceAccount":
        yield Problem(
            path,
            codes.SUBJECT_KIND,
            f"a {role} of kind {form.kind!r} is not supported",
            "Access is given to service accounts: `kind: ServiceAccount`.",
        )


def _rule_problems(form: RuleForm, path: Path) -> Iterator[Problem]:
    if form.kind not in RULE_KINDS:
        yield Problem(
            (*path, "kind"),
            codes.RULE_KIND,
            f"a rule of kind {form.kind!r} is not supported, so the whole TrafficTarget is ignored",
            "Rules are of kind HTTPRouteGroup or TCPRoute.",
        )


def _too_long(name: str) -> str:
    if len(name) <= LONGEST_HEADER_NAME:
        return ""
    return f"the name of a header has {len(name)} characters; at most {LONGEST_HEADER_NAME} are allowed"


def group_problems(form: GroupV1Alpha1 | Group) -> Iterator[Problem]:
    """Header names are names, and matches can be told apart."""
    matches: Sequence[MatchForm]
    path: Path
    if isinstance(form, Group):
        matches, path = form.spec.matches, ("spec", "matches")
    else:
        matches, path = form.matches, ("matches",)
    if not matches:
        yield Problem(
            path,
            codes.GRANTS_NOTHING,
            "an HTTPRouteGroup without matches fits no request",
            "Add at least one match; `- name: all` with `pathRegex: .*` fits every request.",
            Severity.WARNING,
        )
    names = Counter(match.name for match in matches)
    for index, match in enumerate(matches):
        if names[match.name] > 1:
            yield Problem(
                (*path, index, "name"),
                codes.TWICE,
                f"several matches are named {match.name!r}; who names one means all of them",
                "Give each match its own name.",
                Severity.WARNING,
            )
        for name, _ in match.header_pairs():
            if complaint := check_header_name(name[: LONGEST_HEADER_NAME + 1]) or _too_long(name):
                yield Problem(
                    (*path, index, "headers"),
                    codes.HEADER,
                    complaint,
                    "The authority of a request is the header `host`."
                    if name.lower() == ":authority"
                    else "",
                )


def split_problems(form: SplitV1Alpha1 | Split) -> Iterator[Problem]:
    """Weights are numbers that are not negative, and some traffic goes somewhere."""
    path = ("spec", "backends")
    backends = form.spec.backends
    if not backends:
        yield Problem(
            path, codes.EMPTY, "a TrafficSplit needs at least one backend", "Or delete the split."
        )
        return
    wrong = [p for i, b in enumerate(backends) for p in _weight_problems(b, (*path, i, "weight"))]
    yield from wrong
    names = Counter(backend.service for backend in backends)
    for name, count in names.items():
        if count > 1:
            yield Problem(
                path,
                codes.TWICE,
                f"backend {name!r} stands here {count} times; its weights are added",
                severity=Severity.WARNING,
            )
    if wrong:
        return
    weights = whole_weights(
        tuple(weight_of(b.weight) for b in backends), at_most=GREATEST_TOTAL_WEIGHT
    )
    if weights is None:
        yield Problem(
            path,
            codes.WEIGHT,
            "these weights cannot be kept in their proportion: their sum as integers is above "
            f"{GREATEST_TOTAL_WEIGHT}",
            "Use smaller numbers, or fewer digits.",
        )
    elif not sum(weights):
        yield Problem(
            path,
            codes.NO_TRAFFIC,
            "all weights are 0, so every request is answered with 503",
            "Give one backend a weight above 0.",
            Severity.WARNING,
        )


def _weight_problems(form: BackendForm, path: Path) -> Iterator[Problem]:
    try:
        weight = weight_of(form.weight)
    except ValueError:
        yield Problem(
            path,
            codes.WEIGHT,
            f"{form.weight!r} is no weight",
            "Weights are numbers such as 50, or quantities such as 500m.",
        )
        return
    if weight < 0:
        yield Problem(path, codes.WEIGHT, f"a weight must be 0 or more, not {form.weight}")
