"""What becomes of a call at the service ports that a route sends it to."""

from collections.abc import Callable, Iterable

import msgspec

from osm.core.explain.access import access_steps, asked
from osm.core.explain.asking import authorizer_steps, global_connection_steps
from osm.core.explain.call import Call
from osm.core.explain.explanation import Step
from osm.core.explain.limits import connection_limit_steps
from osm.core.explain.without_proxy import passed_over_steps, takes_calls, what_callers_get
from osm.core.model.identity import Identity
from osm.core.model.service import ServicePort


class Arrival(msgspec.Struct, frozen=True):
    """What the workloads behind one service port say."""

    port: ServicePort
    steps: tuple[Step, ...]
    allowed: tuple[Identity, ...] = ()
    denied: tuple[Identity, ...] = ()

    @property
    def targets(self) -> list[tuple[Identity, ServicePort]]:
        """Who denies it, and at which port."""
        return [(identity, self.port) for identity in self.denied]


def endpoint_steps(call: Call, backend: ServicePort) -> Iterable[Step]:
    """Which workloads answer for the service port."""
    ready = call.model.endpoints.get(backend.name, ())
    names = ", ".join(f"{e.namespace}/{e.workload}" for e in ready)
    where = f"endpoints of {backend.name}"
    if names and not takes_calls(call.model, backend):
        text = f"{names}: none has a proxy of the mesh, so that nobody takes mutual TLS"
        yield Step(where, "failed", f"{text}: {what_callers_get(call)}")
    elif names:
        yield Step(where, "ok", names)
    elif backend.identities:
        yield Step(where, "failed", "none is ready")
    else:
        yield Step(where, "failed", "the service selects no workload")


BACKEND_STEPS: tuple[Callable[[Call, ServicePort], Iterable[Step]], ...] = (
    connection_limit_steps,
    global_connection_steps,
    authorizer_steps,
    endpoint_steps,
    passed_over_steps,
)
"""What else counts at a backend, after access, in this order. For something new: a module with a
function like these, and a line here. (`decide.REQUEST_STEPS` is for what counts at the caller.)
"""


def _unreachable(call: Call, backend: ServicePort) -> str:
    """Why nothing gets through to a backend, whoever calls; empty when it does."""
    if not backend.target_port:
        return "its target port is a name that no workload behind it has"
    if backend.protocol.is_http != (call.request is not None):
        sent = "TCP" if call.request is None else "HTTP"
        return f"it speaks {backend.protocol} and is sent {sent}: nothing gets through"
    for endpoint in call.model.endpoints.get(backend.name, ()):
        names = call.model.services_of.get((endpoint.namespace, endpoint.workload), ())
        ports = (call.model.services[name] for name in names)
        # One port of a workload has one protocol: the first service's by name, where they disagree.
        first = next((p for p in ports if p.target_port == backend.target_port), backend)
        if first.protocol.is_http != backend.protocol.is_http:
            return (
                f"port {first.target_port} of its workloads speaks {first.protocol}, as {first.name} "
                f"says, and not {backend.protocol}: nothing gets through"
            )
    return ""


def arrive(call: Call, backend: ServicePort) -> Arrival:
    """Ask the workloads of each identity behind a backend."""
    if problem := _unreachable(call, backend):
        return Arrival(backend, (Step(f"endpoints of {backend.name}", "failed", problem),))
    steps: list[Step] = []
    allowed: list[Identity] = []
    denied: list[Identity] = []
    for identity in backend.identities:
        found = access_steps(
            call.model, asked(call.source.identity, identity, backend, call.request)
        )
        (allowed if found[0].outcome == "ok" else denied).append(identity)
        steps += found
    for make in BACKEND_STEPS:
        steps += make(call, backend)
    return Arrival(backend, tuple(steps), tuple(allowed), tuple(denied))
