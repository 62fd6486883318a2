"""A control plane as a process, and objects that come and go, lists that are cut, and callers that lie
(rows K5, K12, K14, W10 and W11).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from copy import deepcopy
from random import Random

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault
from tests.mesh.serving import ServedProxy
from tests.waiting import eventually

from osm.core.install.names import (
    ADS_PORT,
    API_PORT,
    HTTP_PORT,
    INJECTOR_PORT,
    PAGE_PORT,
    VALIDATOR_PORT,
)
from osm.core.xds import types

from .churning import MERGE, Shop, many, pod, service, shop, split
from .fuzzing import Door, fuzz
from .processes import LOOPBACK

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

FULL = "OSM_TEST_FULL" in os.environ
PODS = 1000 if FULL else 300
TIMES = 3 * PODS if FULL else 1000
CHAIN = 50
PROXIES = 5
FUZZ_S = 600.0 if FULL else 15.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(
    cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    async with shop(cluster, tmp_path_factory.mktemp("shop")) as found:
        yield found
        assert found.process.is_running, found.process.log()
        assert "Traceback" not in found.process.log(), found.process.log()


async def has_everything(proxy: ServedProxy) -> None:
    kinds = (types.CLUSTER, types.LISTENER, types.SECRET, types.VIRTUAL_HOST, types.ENDPOINT)
    await eventually(
        lambda: all(proxy.client.held.get(kind) for kind in kinds), "configuration", within=20
    )
    await asyncio.sleep(1)


def names_of(proxy: ServedProxy) -> dict[str, set[str]]:
    return {type_url: set(held) for type_url, held in proxy.client.held.items()}


def removed(proxy: ServedProxy, since: int = 0) -> list[str]:
    return [name for each in proxy.responses[since:] for name in each.removed_resources]


async def test_what_comes_and_goes_a_thousand_times_leaves_nothing(town: Shop) -> None:
    """Services, pods with their proxies, and splits. Of some pods the proxies connect."""

    async def fleeting(number: int) -> None:
        name = f"gone-{number}"
        kinds = [("services", service(name, "cart")), ("trafficsplits", split(name))]
        plural, document = ("pods", pod(name, "cart")) if number < PODS else kinds[number % 2]
        await town.create(plural, document)
        await town.delete(plural, name)

    async def renamed(chain: int) -> None:
        for number in range(CHAIN):
            await town.create("services", service(f"gone-{chain}-{number}", "cart"))
            if number:
                await town.delete("services", f"gone-{chain}-{number - 1}")
        await town.delete("services", f"gone-{chain}-{CHAIN - 1}")

    async def with_proxy(number: int) -> None:
        name = f"gone-proxy-{number}"
        await town.run_pod(name, f"10.88.1.{number}", "cart")
        async with town.connected(name) as proxy:
            await has_everything(proxy)
        await town.delete("pods", name)

    async def ours() -> tuple[object, ...]:
        """What is written beside pods, and may stay behind."""
        names = [
            item["metadata"]["name"]
            for plural in ("configmaps", "secrets", "serviceaccounts")
            for item in await town.items(plural)
        ]
        events = [
            event["involvedObject"]["name"]
            for event in await town.items("events")
            if event["source"].get("component") == "osm-controller"
        ]
        return sorted(names), [name for name in events if name.startswith("gone-")]

    async def is_forgotten() -> bool:
        said = await town.process.get("/api/v1/view", API_PORT)
        said += await town.process.get("/api/v1/objects", API_PORT)
        return b" 200 " in said and b"gone-" not in said + await town.process.get("/metrics")

    async with town.connected() as proxy:
        await has_everything(proxy)
        before, written = names_of(proxy), await ours()
        await asyncio.gather(*map(with_proxy, range(PROXIES)))
        await many(map(fleeting, range(TIMES)))
        await asyncio.gather(*map(renamed, range(4)))
        await eventually(is_forgotten, "nothing is known of them", within=30)
        await asyncio.sleep(1)
        assert names_of(proxy) == before and await ours() == written


async def test_lists_that_break_off_take_nothing_from_proxies(town: Shop) -> None:
    """Every watch is refused, and every list ends amid its objects or is refused, for 8 s."""
    broken = 0

    def choose(asked: Asked) -> Fault | None:
        nonlocal broken
        if asked.is_list:
            broken += 1
            return Fault(cut_after_s=0.02) if broken % 2 else Fault(status=500)
        return Fault(status=410) if asked.is_watch else None

    async with town.connected() as proxy:
        await has_everything(proxy)
        before, told = names_of(proxy), len(proxy.responses)
        town.proxy.choose = choose
        town.proxy.cut_all()
        await asyncio.sleep(8)
        assert broken > 10
        town.proxy.choose = lambda _: None
        await town.run_pod("cart-1", "10.88.0.8", "cart")
        await eventually(lambda: len(proxy.responses) > told, "what is new", within=30)
        await town.delete("pods", "cart-1")
        await asyncio.sleep(2)
        assert removed(proxy, told) == [] and names_of(proxy) == before


async def test_a_proxy_that_comes_back_after_a_crash_loses_nothing(town: Shop) -> None:
    """Of the new process's first lists that of pods is refused for a while: it serves nobody."""
    async with town.connected() as proxy:
        await has_everything(proxy)
        held = deepcopy(proxy.client.held)
    await town.process.kill()
    town.proxy.choose = lambda asked: (
        Fault(status=500) if asked.is_list and asked.path.endswith("/pods") else None
    )
    await town.process.start(wait=False)
    await eventually(town.process.is_alive, "it answers", within=60)
    for _ in range(10):
        assert not await town.process.is_ready() and not await serves_proxies()
        await asyncio.sleep(0.3)
    town.proxy.choose = lambda _: None
    await eventually(town.process.is_ready, "it is ready", within=30)
    async with town.connected(held=held) as proxy:
        proxy.client.held = deepcopy(held)
        await asyncio.sleep(3)
        assert removed(proxy) == [] and names_of(proxy) == {k: set(v) for k, v in held.items()}


async def serves_proxies() -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, ADS_PORT)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_namespace_in_use_goes_and_one_that_flaps_is_judged_the_same_by_all(
    town: Shop,
) -> None:
    doomed, flapping = f"doomed-{town.namespace}", f"flapping-{town.namespace}"
    for name in (doomed, flapping):
        await town.add_namespace(name)
        await eventually(lambda name=name: town.injects(name), "pods get proxies")  # type: ignore[misc]
        await town.create("services", service("cart"), name)
        await town.run_pod("cart-0", "10.88.0.9" if name == doomed else "10.88.0.10", "cart", name)
    await town.create("trafficsplits", split("split"), doomed)

    async def workloads() -> set[str]:
        view = await town.process.json("/api/v1/view", API_PORT)
        return {each["namespace"] for each in view["workloads"]}

    async def agree(*, is_in: bool) -> bool:
        return (flapping in await workloads(), await town.injects(flapping)) == (is_in, is_in)

    await eventually(lambda: _has(workloads, doomed, flapping), "both are known")
    await town.cluster.kubectl("delete", "namespace", doomed, "--wait=false")
    for is_in in (False, True):
        await flap(town, flapping)
        await label(town, flapping, is_in=is_in)
        await eventually(
            lambda is_in=is_in: agree(is_in=is_in),  # type: ignore[misc]
            "controller and injector agree",
            within=10,
        )

    async def is_gone() -> bool:
        found = await town.cluster.kubectl("get", "namespace", doomed, "--ignore-not-found")
        return not found

    # Ten seconds are over: within 30 s it is gone.
    await eventually(is_gone, "the namespace is gone", within=20)
    assert doomed not in await workloads()
    await town.cluster.kubectl("delete", "namespace", flapping, "--wait=false")


async def flap(town: Shop, namespace: str) -> None:
    """Ten times a second, for 5 s."""
    for number in range(50):
        await label(town, namespace, is_in=bool(number % 2))
        await asyncio.sleep(0.1)


async def label(town: Shop, namespace: str, *, is_in: bool) -> None:
    labels = {"openservicemesh.io/monitored-by": town.installation.mesh if is_in else None}
    patch = {"metadata": {"labels": labels}}
    await town.server.request("PATCH", f"/api/v1/namespaces/{namespace}", None, patch, MERGE)


async def _has(workloads: Callable[[], Awaitable[set[str]]], *namespaces: str) -> bool:
    return set(namespaces) <= await workloads()


DOORS = (
    Door(INJECTOR_PORT, tls=True),
    Door(HTTP_PORT),
    Door(VALIDATOR_PORT, tls=True),
    Door(PAGE_PORT),
    Door(ADS_PORT, tls=True, alpn=("h2",)),
)


@pytest.mark.timeout(FUZZ_S + 300)
async def test_whatever_anybody_sends_to_a_port_it_answers_no_mistake_of_its_own(
    town: Shop,
) -> None:
    seeds = range(len(DOORS) * 4)
    work = (fuzz(DOORS[seed % len(DOORS)], Random(seed), FUZZ_S) for seed in seeds)
    found = await asyncio.gather(*work)
    print(f"{sum(count for count, _ in found):,} inputs in {FUZZ_S:.0f} s")
    assert [errors for _, errors in found] == [{}] * len(found)
    assert min(count for count, _ in found) >= FUZZ_S / 2
    # Nor do they write into its log: neither what they like, nor a line for each.
    log = town.process.log()
    assert {each for each in log if not each.isprintable()} <= {"\n"}
    assert "\ufffd" not in log and "Invalid HTTP request" not in log
    assert await town.process.is_ready() and await town.injects(town.namespace)
    async with town.connected() as proxy:
        await has_everything(proxy)
