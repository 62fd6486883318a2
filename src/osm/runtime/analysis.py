"""The findings of a whole set of objects, as a mesh on this machine that runs them would have them.

Nothing runs: the pods that the objects ask for are taken to be ready. `control_core` finds the same
in a mesh that runs, and what only traffic and proxies show beside it.
"""

from collections.abc import Mapping

from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key, Manifest
from osm.core.compile.build import Compiler
from osm.core.model.origin import Finding
from osm.local.container import Isolation
from osm.local.plan import compiled_objects, make_plan
from osm.local.pod_status import PodState, show
from osm.runtime.placed import placed
from osm.runtime.settings import compile_options

_INBOUND, _INGRESS = "unix:inbound", "unix:ingress"
"""Where nobody's proxy listens."""


def analyse(objects: Mapping[Key, Manifest]) -> tuple[Finding, ...]:
    """What is wrong with objects that each stand by themselves.

    How a machine keeps pods apart, and what the mesh is called, makes no difference to it.
    """
    plan = make_plan((manifest.object for manifest in objects.values()), Isolation.USER)
    pods = map(_as_if_ready, plan.pods)
    compiler = Compiler(compile_options("osm"))
    compiled = compiler.update([*compiled_objects(objects, plan), *pods])
    found = [*placed((*plan.findings, *compiled.model.findings), objects)]
    if compiled.failures:
        from osm.runtime.control_findings import not_compiled  # noqa: PLC0415 - a mistake of ours

        found += map(not_compiled, compiled.failures)
    return tuple(found)


def _as_if_ready(pod: Pod) -> Manifest:
    """What the platform would show of a pod that runs."""
    state = PodState(pod)
    for program in (state.proxy, *state.containers):
        program.started = program.ready = True
    return show(pod, state, _INBOUND, _INGRESS)
