"""Real Envoys that prove who they are by a token, as pods of a cluster do."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from osm.core.model.identity import Identity, ProxyIdentity
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.local.proxy import ask_admin
from osm.ports import Unproven
from osm.testing.builders import pod, service

from .pod_volume import Volume, has_certificate, has_listener
from .serving import PATIENCE_S, TRUST_DOMAIN, Serving

SHOP = (pod("shop"), pod("thief", ip="10.0.0.2"), service("shop", {"port": 80, "name": "http"}))


class Reviewer:
    """Stands for the API server, and remembers what it was shown."""

    def __init__(self, **accounts: str) -> None:
        self.shown: list[str] = []
        self.is_away = False
        self._accounts = accounts

    async def review(self, token: str) -> ProxyIdentity | Unproven:
        self.shown.append(token)
        await asyncio.sleep(0)
        if self.is_away:
            return Unproven("no API server", "the API server does not answer", later=True)
        account = self._accounts.get(token)
        if account is None:
            return Unproven("refused token", "the API server refuses the token: it has expired")
        return ProxyIdentity(Identity(TRUST_DOMAIN, "default", account), account)


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                holds = condition()
                if holds if isinstance(holds, bool) else await holds:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not in time: {what}")


def is_connected(serving: Serving) -> bool:
    return "default/shop" in serving.plane.by_proxy()


async def test_a_token_is_enough_for_a_listener_and_a_certificate_and_each_stream_shows_the_newest(
    tmp_path: Path,
) -> None:
    serving = Serving(tmp_path, *SHOP)
    reviewer = Reviewer(token_1="shop", token_2="shop")
    volume = Volume(tmp_path / "volume")
    volume.put("token_1", serving.tresor.trust_bundle)
    async with (
        serving.running(review_token=reviewer.review),
        serving.envoy("shop", tmp_path, volume=volume.path) as envoy,
    ):
        await until(lambda: has_listener(envoy), "the proxy has its listener")
        await until(lambda: has_certificate(envoy), "the proxy has its certificate")
        assert set(reviewer.shown) == {"token_1"}
        _, everything = await ask_admin(envoy, "/config_dump")
        assert b"token_1" not in everything, "who may read the configuration learns no token"

        volume.put("token_2", serving.tresor.trust_bundle)
        await asyncio.sleep(0.3)
        assert set(reviewer.shown) == {"token_1"}, "a stream is proved once"
        serving.plane.by_proxy()["default/shop"].end()
        await until(lambda: "token_2" in reviewer.shown, "the new stream shows the new token")
        await until(lambda: is_connected(serving), "the proxy is back")
        assert await has_certificate(envoy)


async def test_a_wrong_token_is_refused_with_a_reason_and_gets_nothing(tmp_path: Path) -> None:
    serving = Serving(tmp_path, *SHOP)
    reviewer = Reviewer(good="shop")
    volume = Volume(tmp_path / "volume")
    volume.put("token_0", serving.tresor.trust_bundle)
    with capture_logs() as logs:
        async with (
            serving.running(review_token=reviewer.review),
            serving.envoy("shop", tmp_path, volume=volume.path) as envoy,
        ):
            await ask_admin(envoy, "/logging?config=warning", method="POST")
            await until(lambda: len(reviewer.shown) >= 3, "the proxy tries again")
            assert not await has_certificate(envoy) and not await has_listener(envoy)
            assert serving.total("osm_proxy_connect_count") == 0

            def is_told() -> bool:
                return "refuses the token: it has expired" in (envoy / "envoy.log").read_text()

            await until(is_told, "the proxy's own log says why")
            volume.put("good", serving.tresor.trust_bundle)
            await until(lambda: has_certificate(envoy), "a good token is soon enough")
    reasons = {each["reason"] for each in logs if each["event"] == "refused a connection"}
    assert reasons == {"the API server refuses the token: it has expired"}
    assert "token_0" not in f"{logs}{(tmp_path / 'envoy.log').read_text()}"


async def test_without_an_api_server_streams_stay_and_new_ones_wait(tmp_path: Path) -> None:
    serving = Serving(tmp_path, *SHOP)
    reviewer = Reviewer(good="shop")
    volume = Volume(tmp_path / "volume")
    volume.put("good", serving.tresor.trust_bundle)
    async with (
        serving.running(review_token=reviewer.review),
        serving.envoy("shop", tmp_path, volume=volume.path) as envoy,
    ):
        await until(lambda: has_certificate(envoy), "the proxy has its certificate")
        reviewer.is_away = True
        session = serving.plane.by_proxy()["default/shop"]
        serving.publish(*SHOP, service("more", {"port": 81, "name": "http"}))
        await asyncio.sleep(0.5)
        assert serving.plane.by_proxy()["default/shop"] is session
        asked = len(reviewer.shown)
        session.end()
        await until(lambda: len(reviewer.shown) > asked, "the proxy tries again")
        assert not is_connected(serving) and await has_certificate(envoy)
        reviewer.is_away = False
        await until(lambda: is_connected(serving), "the proxy is back")


async def test_a_token_that_comes_late_is_waited_for_and_no_stream_goes_without(
    tmp_path: Path,
) -> None:
    serving = Serving(tmp_path, *SHOP)
    reviewer = Reviewer(good="shop")
    volume = Volume(tmp_path / "volume")
    volume.put("", serving.tresor.trust_bundle)
    async with (
        serving.running(review_token=reviewer.review),
        serving.envoy("shop", tmp_path, volume=volume.path) as envoy,
    ):
        await asyncio.sleep(1)
        assert reviewer.shown == []
        volume.put("good", serving.tresor.trust_bundle)
        await until(lambda: has_certificate(envoy), "the proxy has its certificate")
        assert set(reviewer.shown) == {"good"}


async def test_the_token_goes_to_no_server_that_the_roots_of_the_moment_do_not_vouch_for(
    tmp_path: Path,
) -> None:
    serving = Serving(tmp_path, *SHOP)
    stranger = Tresor.open(
        tmp_path / "stranger",
        trust_domain=TRUST_DOMAIN,
        leaf_validity=timedelta(hours=1),
        clock=SystemClock(),
    )
    reviewer = Reviewer(good="shop")
    volume = Volume(tmp_path / "volume")
    volume.put("good", stranger.trust_bundle)
    async with (
        serving.running(review_token=reviewer.review),
        serving.envoy("shop", tmp_path, volume=volume.path) as envoy,
    ):
        await asyncio.sleep(1.5)
        assert reviewer.shown == []
        volume.put("good", serving.tresor.trust_bundle)
        await until(lambda: has_certificate(envoy), "the new roots count without a restart")


async def test_a_server_that_takes_certificates_takes_no_token(tmp_path: Path) -> None:
    """The local platform: its transport ends the handshake of whoever shows no certificate."""
    serving = Serving(tmp_path, *SHOP)
    volume = Volume(tmp_path / "volume")
    volume.put("good", serving.tresor.trust_bundle)
    async with (
        serving.running(),
        serving.envoy("shop", tmp_path, volume=volume.path) as envoy,
    ):
        await asyncio.sleep(1.5)
        assert not await has_certificate(envoy)
        assert serving.total("osm_proxy_connect_count") == 0


async def test_the_control_plane_is_found_by_its_name(tmp_path: Path) -> None:
    serving = Serving(tmp_path, *SHOP)
    with socket.create_server(("127.0.0.1", 0)) as free:
        serving.address = f"localhost:{free.getsockname()[1]}"
    volume = Volume(tmp_path / "volume")
    volume.put("good", serving.tresor.trust_bundle)
    async with (
        serving.running(review_token=Reviewer(good="shop").review),
        serving.envoy("shop", tmp_path, volume=volume.path) as envoy,
    ):
        await until(lambda: has_certificate(envoy), "the proxy has its certificate")
