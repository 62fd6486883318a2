"""Calls that go around the caller's proxy: what the exclusion lists say."""

from osm.core.explain.explanation import Explanation, Question, Step, ended
from osm.core.explain.naming import Destination
from osm.core.model.mesh import Model
from osm.core.model.service import HTTP_PORT, ServicePort
from osm.core.model.workload import Explicit, Workload


def explain_around(
    model: Model, question: Question, destination: Destination, source: Workload, steps: list[Step]
) -> Explanation | None:
    """What becomes of a call that the proxy never sees; None for one that it sees."""
    redirection = source.redirection
    if not redirection.lets_out or isinstance(source.capture, Explicit):
        return None
    host, _, number = destination.called.partition(":")
    port = destination.port.name.port if destination.port else int(number or HTTP_PORT)
    addresses = destination.port.addresses if destination.port else (host,)
    known = [ip for ip in addresses if ip.replace(".", "").isdecimal()]
    if port not in redirection.outbound_ports and not any(
        redirection.goes_around(ip, port) for ip in known
    ):
        return None
    text = "exclusion lists let this call go around the proxy, in plaintext; no policy sees it"
    steps = [*steps, Step("around", "info", text)]
    if destination.port is None or _takes_plain_calls(model, destination.port):
        summary = f"allowed, to {destination.called}, around the proxy"
        return Explanation(question, "allowed", True, summary, tuple(steps))
    text = f"the pods behind {destination.port.name} take calls through their proxies only"
    return ended(question, [*steps, Step("refused", "failed", text)], "refused", text)


def _takes_plain_calls(model: Model, port: ServicePort) -> bool:
    """Whether a pod behind it lets calls at the target port go around its own proxy."""
    return any(
        port.target_port in model.workloads[each.namespace, each.workload].redirection.inbound_ports
        for each in model.endpoints.get(port.name, ())
    )
