"""Calls that go around the caller's proxy: by what the exclusion lists say, or since it has none."""

from osm.core.explain.explanation import Explanation, Question, Step, ended
from osm.core.explain.naming import Destination
from osm.core.explain.without_proxy import advice_about
from osm.core.model.mesh import Model
from osm.core.model.service import HTTP_PORT, ServicePort
from osm.core.model.workload import Explicit, ProxyKind, Workload


def explain_around(
    model: Model, question: Question, destination: Destination, source: Workload, steps: list[Step]
) -> Explanation | None:
    """What becomes of a call that the proxy never sees; None for one that it sees."""
    if source.proxy_kind is ProxyKind.NONE:
        text = "the caller has no proxy: it sends plaintext, and no policy sees it"
    elif not source.takes_mutual_tls:
        text = "the caller's proxy is another mesh's, and nobody trusts its certificate"
        advice = advice_about(model, (source,))
        return ended(question, [*steps, Step("refused", "failed", text)], "refused", text, advice)
    elif _is_excluded(destination, source):
        text = "exclusion lists let this call go around the proxy, in plaintext; no policy sees it"
    else:
        return None
    steps = [*steps, Step("around", "info", text)]
    if destination.port is None or _takes_plain_calls(model, destination.port):
        summary = f"allowed, to {destination.called}, around the proxy"
        return Explanation(question, "allowed", True, summary, tuple(steps))
    text = f"the pods behind {destination.port.name} take calls through their proxies only"
    steps = [*steps, Step("refused", "failed", text)]
    return ended(question, steps, "refused", text, advice_about(model, (source,)))


def _is_excluded(destination: Destination, source: Workload) -> bool:
    redirection = source.redirection
    if not redirection.lets_out or isinstance(source.capture, Explicit):
        return False
    host, _, number = destination.called.partition(":")
    port = destination.port.name.port if destination.port else int(number or HTTP_PORT)
    addresses = destination.port.addresses if destination.port else (host,)
    known = [ip for ip in addresses if ip.replace(".", "").isdecimal()]
    return port in redirection.outbound_ports or any(
        redirection.goes_around(ip, port) for ip in known
    )


def _takes_plain_calls(model: Model, port: ServicePort) -> bool:
    """Whether a pod behind it lets calls at the target port go around its own proxy, or has none."""
    called = model.endpoints.get(port.name, ())
    return any(
        w.proxy_kind is ProxyKind.NONE or port.target_port in w.redirection.inbound_ports
        for w in (model.workloads[each.namespace, each.workload] for each in called)
    )
