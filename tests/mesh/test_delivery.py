"""Configuration on its way to proxies, over real gRPC: who is slow, silent, gone or nobody."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.envoy.catalog import Value
from osm.core.envoy.render import render
from osm.core.model.identity import Identity
from osm.core.xds import types
from osm.core.xds.resource import Resource, make_resource
from osm.local.proxy import ask_admin
from osm.testing.builders import Part, http_group, pod, service, target

from .serving import TRUST_DOMAIN, ServedProxy, Serving, Tap, version_of

ENDPOINTS = "default/shop|80"
BAD = "default/shop|81|local"
SHOP: tuple[Part, ...] = (
    pod("buyer"),
    pod("slow", ip="10.0.0.2"),
    pod("shop", ip="10.0.0.3"),
    service("shop", {"port": 80, "name": "http"}),
    http_group("all", {"name": "all", "pathRegex": "/.*"}),
    target("t", "shop", ["buyer", "slow"], "HTTPRouteGroup/all"),
)
CROWD = 600
"""Endpoints that make a response larger than what sockets and windows hold."""


def crowded(generation: int) -> tuple[Part, ...]:
    """The shop with many replicas; those of another generation have other addresses."""
    return (
        *SHOP,
        *(
            pod(f"shop-{n}", app="shop", ip=f"10.{generation}.{n // 250}.{n % 250 + 1}")
            for n in range(CROWD)
        ),
    )


async def test_a_proxy_that_takes_nothing_costs_the_others_nothing_and_gets_the_newest_state_once(
    tmp_path: Path,
) -> None:
    serving = Serving(tmp_path, *crowded(0))
    tap = Tap(tmp_path, serving.address)
    async with serving.running(), tap.running(), AsyncExitStack() as proxies:
        quick = await proxies.enter_async_context(serving.proxy("buyer"))
        slow = await proxies.enter_async_context(serving.proxy("slow", address=tap.address))
        for proxy in (quick, slow):
            await proxy.ask(types.ENDPOINT, ENDPOINTS)
            await proxy.has(1)
        tap.close()
        for generation in range(1, 31):
            serving.publish(*crowded(generation))
            await quick.holds(types.ENDPOINT, ENDPOINTS, version_of(serving.plane, ENDPOINTS))
        assert len(quick.responses) == 31
        stuck = serving.plane.by_proxy()["default/slow"]
        (status,) = stuck.type_status(0.0)
        assert status.sent < 31 and status.pending > 0 and not stuck.stream.in_sync
        tap.open()
        await slow.holds(types.ENDPOINT, ENDPOINTS, version_of(serving.plane, ENDPOINTS))
        assert len(slow.responses) < 31, "states that were old already have been merged"
        assert serving.total("osm_proxy_cut_off_count") == 0


async def test_a_proxy_that_takes_nothing_for_too_long_is_cut_off_and_may_come_back(
    tmp_path: Path,
) -> None:
    serving = Serving(tmp_path, *crowded(0))
    tap = Tap(tmp_path, serving.address)
    async with serving.running(write_limit_s=0.5), tap.running(), AsyncExitStack() as proxies:
        quick = await proxies.enter_async_context(serving.proxy("buyer"))
        slow = await proxies.enter_async_context(serving.proxy("slow", address=tap.address))
        for proxy in (quick, slow):
            await proxy.ask(types.ENDPOINT, ENDPOINTS)
            await proxy.has(1)
        tap.close()
        generation = 0
        async with asyncio.timeout(20):
            while "default/slow" in serving.plane.by_proxy():
                generation += 1
                serving.publish(*crowded(generation % 200))
                await quick.has(generation + 1)
                await asyncio.sleep(0.05)
        assert serving.total("osm_proxy_cut_off_count") == 1
        assert serving.total("osm_proxy_connect_count") == 1
        tap.open()
        # INTERNAL is what gRPC's client makes of a message that ends half-way.
        assert await slow.ended() in (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.INTERNAL,
        )
        again = await proxies.enter_async_context(serving.proxy("slow", address=tap.address))
        await again.ask(types.ENDPOINT, ENDPOINTS, held=slow.client.held[types.ENDPOINT])
        await again.holds(types.ENDPOINT, ENDPOINTS, version_of(serving.plane, ENDPOINTS))


async def test_a_proxy_that_acknowledges_nothing_is_told_of_changes_and_is_not_in_sync(
    tmp_path: Path,
) -> None:
    serving = Serving(tmp_path, *SHOP)
    async with serving.running(), serving.proxy("buyer") as silent:
        silent.acknowledges = False
        await silent.ask(types.ENDPOINT, ENDPOINTS)
        await silent.has(1)
        for number in range(3):
            serving.publish(*SHOP, pod(f"more-{number}", app="shop", ip=f"10.0.1.{number + 1}"))
            await silent.has(number + 2)
        session = serving.plane.by_proxy()["default/buyer"]
        (status,) = session.type_status(session.connected_at + 3600)
        assert (status.sent, status.acknowledged, status.pending) == (4, 0, 4)
        assert status.acknowledged_ago_s is None and (status.sent_ago_s or 0) > 3500
        assert not session.stream.in_sync
        assert serving.total("osm_proxy_pending_responses", type=types.ENDPOINT) == 4


async def reconnect(
    serving: Serving, before: dict[str, ServedProxy], streams: AsyncExitStack
) -> list[ServedProxy]:
    """All come back, and say what they have. Each is told at least that its clusters were heard."""
    again = [await streams.enter_async_context(serving.proxy(name)) for name in before]
    for proxy, old in zip(again, before.values(), strict=True):
        held = old.client.held
        for type_url in (types.CLUSTER, types.LISTENER):
            await proxy.ask(type_url, "*", held=held[type_url])
        await proxy.ask(types.ENDPOINT, ENDPOINTS, held=held[types.ENDPOINT])
        # What does not exist is answered, after all that was asked before it.
        await proxy.ask(types.ROUTE, "no such thing")
    for proxy in again:
        await proxy.has(3)
    return again


@pytest.mark.parametrize("restarted", [False, True], ids=["reconnect", "restart"])
async def test_fifty_proxies_that_come_back_with_what_they_have_get_nothing_again(
    tmp_path: Path, *, restarted: bool
) -> None:
    names = [f"client-{n}" for n in range(50)]
    parts = (*SHOP, *(pod(name, ip=f"10.0.9.{n + 1}") for n, name in enumerate(names)))
    serving = Serving(tmp_path, *parts)
    async with AsyncExitStack() as life:
        await life.enter_async_context(serving.running())
        proxies: dict[str, ServedProxy] = {}
        async with AsyncExitStack() as streams:
            for name in names:
                proxies[name] = await streams.enter_async_context(serving.proxy(name))
                for type_url in (types.CLUSTER, types.LISTENER):
                    await proxies[name].ask(type_url)
                await proxies[name].ask(types.ENDPOINT, ENDPOINTS)
            for proxy in proxies.values():
                await proxy.has(3)
                assert proxy.resources() >= 2
        if restarted:
            await life.aclose()
            serving.renew_plane(*parts)
            await life.enter_async_context(serving.running())
        sent = serving.total("osm_proxy_push_resource_count")
        assert sent >= 2 * len(names)
        async with AsyncExitStack() as streams:
            again = await reconnect(serving, proxies, streams)
            assert [proxy.resources() for proxy in again] == [0] * len(names)
            assert all(
                list(response.removed_resources) in ([], ["no such thing"])
                for proxy in again
                for response in proxy.responses
            )
            assert serving.total("osm_proxy_push_resource_count") == sent
            assert serving.total("osm_proxy_connect_count") == len(names)


async def test_a_stream_ends_with_a_reason_that_its_client_understands(tmp_path: Path) -> None:
    serving = Serving(tmp_path, *SHOP)
    stranger = Serving(tmp_path / "elsewhere", *SHOP)
    pair = await stranger.pair_of("buyer")
    async with serving.running():
        async with serving.proxy("nobody") as proxy:
            assert await proxy.ended() is grpc.StatusCode.UNAVAILABLE
            assert "no workload default/nobody" in await proxy.why()
        of_workload = await serving.tresor.issue(Identity(TRUST_DOMAIN, "default", "buyer"))
        async with serving.proxy("buyer", of_workload) as proxy:
            assert await proxy.ended() is grpc.StatusCode.UNAUTHENTICATED
        async with serving.proxy("buyer", pair) as proxy:
            assert await proxy.ended() is grpc.StatusCode.UNAVAILABLE  # refused in the handshake
        async with serving.proxy("buyer") as proxy:
            await proxy.send_bytes(b"\xff\xff\xff")
            assert await proxy.ended() is grpc.StatusCode.INVALID_ARGUMENT
        async with serving.proxy("buyer") as proxy:
            await proxy.ask(types.LISTENER)
            await proxy.has(1)
            serving.publish(*SHOP[1:])
            assert await proxy.ended() is grpc.StatusCode.PERMISSION_DENIED
        assert serving.total("osm_proxy_connect_count") == 0


async def test_a_server_that_stops_ends_its_streams(tmp_path: Path) -> None:
    serving = Serving(tmp_path, *SHOP)
    async with AsyncExitStack() as life, AsyncExitStack() as streams:
        await life.enter_async_context(serving.running())
        proxies = [await streams.enter_async_context(serving.proxy("buyer")) for _ in range(3)]
        for proxy in proxies:
            await proxy.ask(types.LISTENER)
            await proxy.has(1)
        await life.aclose()
        for proxy in proxies:
            assert await proxy.ended() is grpc.StatusCode.UNAVAILABLE
        assert serving.total("osm_proxy_connect_count") == 0


async def test_a_response_is_counted_with_its_reason_and_its_proxy_is_forgotten_with_its_workload(
    tmp_path: Path,
) -> None:
    serving = Serving(tmp_path, *SHOP)
    async with serving.running(write_limit_s=0.5):
        async with serving.proxy("buyer") as proxy:
            await proxy.ask(types.ENDPOINT, ENDPOINTS)
            await proxy.has(1)
            serving.publish(*SHOP, pod("more", app="shop", ip="10.0.1.1"), trigger="Pod")
            await proxy.has(2)
            request = discovery_pb2.DeltaDiscoveryRequest(
                type_url=types.ENDPOINT, response_nonce="2"
            )
            request.error_detail.message = "no"
            proxy.acknowledges = False
            serving.publish(*SHOP, trigger="Pod")
            await proxy.has(3)
            request.response_nonce = proxy.responses[-1].nonce
            await proxy.send(request)
            await serving.counts("osm_proxy_nack_count", 1)
        for trigger, count in (("request", 1), ("Pod", 2)):
            counted = serving.total("osm_proxy_push_trigger_count", trigger=trigger)
            assert counted == count, trigger
        times = "osm_proxy_config_update_time_count"
        assert serving.total(times, success="true") == 2
        assert serving.total(times, success="false") == 1
        mine = {"proxy_uuid": "default/buyer"}
        assert serving.total("osm_proxy_response_send_success_count", **mine) == 3
        serving.publish(*SHOP[1:])  # when its proxy has gone already
        await serving.counts("osm_proxy_response_send_success_count", 0, **mine)
        assert serving.total("osm_proxy_xds_request_count", **mine) == 0


def spoiled(value: Value) -> Resource:
    """As rendered; one cluster lacks what Envoy demands, and its builder knows nothing of it."""
    resource = render(value)
    if resource.name != BAD:
        return resource
    wire = discovery_pb2.Resource.FromString(resource.wire)
    cluster = cluster_pb2.Cluster.FromString(wire.resource.value)
    cluster.connect_timeout.FromSeconds(0)
    return make_resource(BAD, cluster, origins=resource.origins)


async def clusters_of(directory: Path) -> set[str]:
    """The clusters that an Envoy uses."""
    _, body = await ask_admin(directory, "/config_dump?resource=dynamic_active_clusters")
    return {config["cluster"]["name"] for config in json.loads(body).get("configs", [])}


async def test_a_resource_that_envoy_refuses_does_not_keep_the_others_of_its_response_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osm.ads.control_plane.render", spoiled)
    ports = tuple({"port": port, "name": f"http-{port}"} for port in (80, 81, 82, 83))
    parts = (pod("shop"), service("shop", *ports))
    serving = Serving(tmp_path, *parts)
    async with serving.running(), serving.envoy("shop", tmp_path) as envoy:
        good = {"default/shop|80|local", "default/shop|82|local", "default/shop|83|local"}
        async with asyncio.timeout(20):
            while not good <= await clusters_of(envoy):  # noqa: ASYNC110 - Envoy is asked
                await asyncio.sleep(0.02)
        session = serving.plane.by_proxy()["default/shop"]
        async with asyncio.timeout(20):
            while any(s.pending for s in session.type_status(0.0)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert BAD not in await clusters_of(envoy)
        (refused,) = serving.plane.refusals()
        assert refused.refusal.resources == (BAD,)
        clusters = session.stream.types[types.CLUSTER]
        refused_so_far = clusters.refused
        assert refused_so_far <= 3
        await asyncio.sleep(0.5)
        assert clusters.refused == refused_so_far, "what is refused is not sent again"
