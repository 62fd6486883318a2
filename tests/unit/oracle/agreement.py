"""In what an explanation and the simulation differ."""

from collections.abc import Iterator

from osm.core.explain.explanation import Explanation, Step
from osm.core.explain.simulation.answer import Answer
from osm.core.model.mesh import Model
from osm.core.model.service import PortName, ServiceName

NOWHERE = {"no route", "no cluster", "no endpoints", "closed"}
OUTCOMES = {
    "refused": {"bad request"},
    "redirected": {"redirected"},
    # What an unknown service would have done with a path, nobody says; and bytes on an HTTP port that
    # are no HTTP are refused before anybody looks where they go.
    "no route": NOWHERE | {"direct response", "bad request", "redirected", "wrong protocol"},
    "no backend": {"direct response", "no cluster"},
}
SHARE = 0.006
"""Explanations round percentages to two digits."""

Ends = dict[tuple[str, str], float]


def disagreement(model: Model, explanation: Explanation, answer: Answer) -> str:
    """In what they differ; empty when they agree."""
    expected = OUTCOMES.get(explanation.verdict)
    if expected is not None:
        wrong = answer.outcomes - expected
        return f"explain says {explanation.verdict}, simulated: {answer.shares}" if wrong else ""
    if not explanation.backends:
        return _without_backends(explanation, answer)
    wanted = dict(_ends(model, explanation))
    found: Ends = {}
    deaf = _deaf(model, explanation)
    for share, ending in answer.shares:
        if ending.via in deaf:
            found["no endpoints", ""] = found.get(("no endpoints", ""), 0.0) + 100 * float(share)
            continue
        outcome = "denied" if ending.outcome in ("denied", "closed") else ending.outcome
        place = (outcome, ending.place.rpartition(":")[0] or ending.place)
        found[place] = found.get(place, 0.0) + 100 * float(share)
    if wanted.keys() == found.keys() and all(
        abs(wanted[k] - found[k]) < SHARE * 100 for k in found
    ):
        return _verdict_problem(explanation, wanted)
    return f"explain means {wanted} ({explanation.verdict}), simulated {found}: {answer.shares}"


def _without_backends(explanation: Explanation, answer: Answer) -> str:
    if explanation.verdict == "allowed":
        fits = answer.outcomes <= {"beyond", "forwarded"}
    elif explanation.verdict == "no endpoints":
        fits = answer.outcomes <= {"no endpoints", "closed", "wrong protocol", "denied"}
    else:
        fits = answer.outcomes <= {"denied", "closed"}
    return "" if fits else f"explain says {explanation.verdict}, simulated: {answer.shares}"


def _ends(model: Model, explanation: Explanation) -> Iterator[tuple[tuple[str, str], float]]:
    """Where an explanation says that calls end: at which workload, and how, with percentages."""
    decisions = dict(_decisions(explanation.steps))
    total: Ends = {}
    for backend, percent in explanation.backends:
        ready = model.endpoints.get(_port_name(backend), ())
        if not ready or not decisions[backend]:
            total["no endpoints", ""] = total.get(("no endpoints", ""), 0.0) + percent
            continue
        for endpoint in ready:
            workload = model.workloads[endpoint.namespace, endpoint.workload]
            step = decisions[backend][workload.identity.short]
            outcome = "forwarded" if step.outcome == "ok" else "denied"
            key = (outcome, f"{endpoint.namespace}/{endpoint.workload}")
            total[key] = total.get(key, 0.0) + percent / len(ready)
    yield from total.items()


def _deaf(model: Model, explanation: Explanation) -> set[str]:
    """The clusters of backends that speak something else than what they are sent: however that ends."""
    decided = dict(_decisions(explanation.steps))
    ports = [_port_name(backend) for backend, _ in explanation.backends if not decided[backend]]
    services = [model.services[port] for port in ports]
    by_address = {f"{ip}:{port.name.port}" for port in services for ip in port.addresses}
    return by_address | {port.cluster_name for port in services}


def _decisions(steps: tuple[Step, ...]) -> Iterator[tuple[str, dict[str, Step]]]:
    """By backend: the decision about each identity that stands behind it."""
    about: dict[str, Step] = {}
    for step in steps:
        kind, _, what = step.title.partition(" to ")
        if kind == "access":
            about[what] = step
        elif step.title.startswith("endpoints of "):
            yield step.title.removeprefix("endpoints of "), about
            about = {}


def _port_name(text: str) -> PortName:
    service, _, number = text.rpartition(":")
    namespace, _, host = service.partition("/")
    pod, _, name = host.rpartition(".")
    return PortName(ServiceName(namespace, name, pod), int(number))


def _verdict_problem(explanation: Explanation, wanted: Ends) -> str:
    """The verdict is about everybody who may be called, ready or not; so it may say more than what
    happens now, and never less.
    """
    outcomes = {outcome for outcome, _ in wanted} - {"no endpoints"}
    said = {
        "allowed": {"forwarded"},
        "denied": {"denied"},
        "partly denied": {"forwarded", "denied"},
        "no endpoints": set[str](),
    }[explanation.verdict]
    if outcomes <= said:
        return ""
    return f"explain's verdict is {explanation.verdict}, and what it means is {wanted}"
