"""Whether the proxies do already what the model says: an explanation is about what is in force."""

from collections.abc import Iterable, Iterator

import msgspec

from osm.core.explain.explanation import Explanation, Step
from osm.core.explain.view import ProxyView
from osm.core.model.origin import Finding, Origin

_TITLE = "proxy"


def without_state(answer: Explanation) -> Explanation:
    """The answer, without what `with_state` added: for somebody who knows the proxies better."""
    steps = tuple(step for step in answer.steps if step.title != _TITLE)
    return msgspec.structs.replace(answer, steps=steps)


def with_state(
    answer: Explanation, proxies: Iterable[ProxyView], findings: Iterable[Finding]
) -> Explanation:
    """The answer, and what keeps one of its proxies from acting by it."""
    known = {f"{proxy.namespace}/{proxy.name}": proxy for proxy in proxies}
    pods = {
        f"{finding.origin.namespace}/{finding.origin.name}": finding
        for finding in findings
        if finding.origin and finding.origin.kind == "Pod"
    }
    steps: list[Step] = []
    told = {step.text for step in answer.steps}
    for name in answer.workloads:
        if name in known:
            steps += _of_proxy(known[name])
        if name in pods and (found := _of_finding(pods[name])).text not in told:
            steps.append(found)
    return msgspec.structs.replace(answer, steps=(*answer.steps, *steps)) if steps else answer


def _of_proxy(proxy: ProxyView) -> Iterator[Step]:
    name = f"{proxy.namespace}/{proxy.name}"
    pod = (Origin("Pod", proxy.namespace, proxy.name),)
    if not proxy.connected:
        text = f"{name} is not connected to the control plane: it acts by what it last knew"
        yield Step(_TITLE, "info", text, pod)
        return
    refused = [each.type for each in proxy.types if each.refuses]
    if refused:
        text = (
            f"{name} refused the newest {', '.join(refused)} and acts by what it had: see "
            f"`osm proxy status {name}`"
        )
        yield Step(_TITLE, "info", text, pod)
    elif not proxy.in_sync:
        text = f"{name} has not acknowledged the newest configuration yet"
        yield Step(_TITLE, "info", text, pod)


def _of_finding(finding: Finding) -> Step:
    assert finding.origin is not None
    text = f"{finding.origin}: {finding.message} [{finding.code}]"
    return Step(_TITLE, "info", text, (finding.origin,))
