"""One change at a time, in a mesh at rest."""

from collections.abc import Sequence
from functools import partial

from bench.cases.case import RigCase, Size, describe
from bench.figures import Figure, Result, middle, percentile
from bench.mesh_files import TARGET_PORT
from bench.rig import Rig, RunningMesh, Setting, chosen, cluster, virtual_host
from bench.rounds import Edit, Round, figures, measure, measure_idle
from osm.core.envoy import names
from osm.core.xds import types

EVERYBODYS = 0
"""The service that all proxies call in `everyone`."""


def setting(size: Size) -> Setting:
    """DESIGN §10: 1,000 services, 5,000 workloads, 1,000 proxies."""
    return Setting(size.pick(1000, 50), 5, size.pick(1000, 50))


def endpoint_edit(
    rig: RunningMesh, service: int, unready: frozenset[int], holders: Sequence[int]
) -> Edit:
    """Say which pods of a service are not ready."""
    return Edit(
        types.ENDPOINT,
        cluster(service),
        tuple(holders),
        lambda: rig.objects.set_endpoints(service, unready),
    )


def endpoint_rounds(rig: RunningMesh, services: Sequence[int]) -> list[Round]:
    """One endpoint of each service goes, and comes back."""
    rounds = []
    for service in services:
        for unready in (frozenset({1}), frozenset[int]()):
            edit = endpoint_edit(rig, service, unready, rig.subscribers(service))
            rounds.append(measure(rig, edit))
    # Going and coming back are not the same work: each half of the rounds has as many of either.
    return [each for kind in (rounds[::2], rounds[1::2]) for each in kind]


def endpoint(rig: Rig, size: Size) -> Result:
    """An endpoint comes or goes, ten proxies hold it."""
    idle = measure_idle(rig, size.pick(10, 2))
    rig.controller.longest_pause_ms()
    rig.settle()
    rounds = endpoint_rounds(rig, chosen(rig.setting.services, size.pick(100, 6)))
    pause = Figure(
        "endpoint: the event loop's longest pause", rig.controller.longest_pause_ms(), "ms"
    )
    return Result(
        "endpoint",
        "an endpoint comes or goes, 10 proxies hold it",
        f"{describe(rig.setting)}, {len(rounds)} changes",
        (*figures("endpoint", rounds, budget_ms=50), pause, idle),
        remarks=(steps(rig),),
    )


def everyone(rig: Rig, size: Size) -> Result:
    """The same, and every proxy holds it."""
    everybody = list(rig.streams)
    for type_url, name in (
        (types.VIRTUAL_HOST, virtual_host(EVERYBODYS)),
        (types.CLUSTER, cluster(EVERYBODYS)),
        (types.ENDPOINT, cluster(EVERYBODYS)),
    ):
        rig.fleet.subscribe(everybody, type_url, [name])
        rig.sync()
    rig.settle()
    rounds = [
        measure(rig, endpoint_edit(rig, EVERYBODYS, frozenset(range(n)), everybody))
        for _ in range(size.pick(20, 2))
        for n in (1, 2, 0)
    ]
    return Result(
        "everyone",
        "an endpoint comes or goes, all proxies hold it",
        f"{describe(rig.setting)}, {len(rounds)} changes",
        tuple(figures("endpoint of all", rounds, budget_ms=500)),
        remarks=(steps(rig),),
    )


def access_rounds(rig: RunningMesh, services: Sequence[int]) -> tuple[list[Round], list[float]]:
    """Each service's callers may use one path, and another; also what compilation took, in ms."""
    rounds: list[Round] = []
    compiled: list[float] = []
    for service in services:
        for path in ("/a.*", "/.*"):
            edit = Edit(
                types.ROUTE,
                names.inbound_routes(TARGET_PORT),
                tuple(n for n in rig.streams if n % rig.setting.services == service),
                partial(rig.objects.set_service, service, path=path),
            )
            rounds.append(measure(rig, edit))
            compiled.append(float(rig.controller.view()["push"]["compile_ms"]))
            rig.settle(0.2)
    return rounds, compiled


def split_rounds(rig: RunningMesh, services: Sequence[int]) -> list[Round]:
    """Each service's requests are shared with another one's, in one proportion and another."""
    rounds: list[Round] = []
    for service in services:
        for weight in (100, 90, 50):
            edit = Edit(
                types.VIRTUAL_HOST,
                virtual_host(service),
                tuple(rig.subscribers(service)),
                partial(rig.objects.set_split, service, service ^ 1, weight),
            )
            if weight == 100:  # makes the split; what counts is how it changes
                edit.make()
                rig.settle(0.2)
            else:
                rounds.append(measure(rig, edit))
    return rounds


def policy(rig: Rig, size: Size) -> Result:
    """Who may do what with one service; how one service's requests are shared."""
    services = chosen(rig.setting.services, size.pick(25, 4))
    access, compiled = access_rounds(rig, services)
    splits = split_rounds(rig, services)
    return Result(
        "policy",
        "the access rules of one service change; the weights of one split change",
        f"{describe(rig.setting)}, {len(access)} and {len(splits)} changes",
        (
            *figures("access rule", access),
            Figure(
                "access rule: compilation, as the controller says, p99",
                percentile(compiled[::2], 99),
                "ms",
                percentile(compiled[1::2], 99),
                20,
            ),
            *figures("split weight", splits),
        ),
        remarks=(steps(rig),),
    )


def no_op(rig: Rig, size: Size) -> Result:
    """An annotation changes, which means nothing to anybody."""
    rounds = [
        measure(rig, Edit("", "", (), partial(rig.files.set_service, service, note=note)))
        for service in chosen(rig.setting.services, size.pick(20, 3))
        for note in ("changed", "")
    ]
    sent = [each.others for each in rounds]
    cpu = [each.cpu_ms for each in rounds]
    return Result(
        "no-op",
        "an annotation changes",
        f"{describe(rig.setting)}, {len(rounds)} changes",
        (
            Figure("no-op: responses", sum(t.responses for t in sent), "count", None, 0),
            Figure("no-op: bytes", sum(t.bytes for t in sent), "bytes", None, 0),
            Figure("no-op: controller's CPU, p50", middle(cpu[::2]), "ms", middle(cpu[1::2])),
        ),
    )


def steps(rig: RunningMesh) -> str:
    """Where the time of the last change went, as far as the controller says."""
    push = rig.controller.view()["push"]
    said = ", ".join(f"{key} {value}" for key, value in push.items() if value != "")
    return f"The last change, as the controller says: {said}."


CASES = (
    RigCase("endpoint", setting, endpoint),
    RigCase("policy", setting, policy),
    RigCase("no-op", setting, no_op),
)
LAST = (RigCase("everyone", setting, everyone),)
