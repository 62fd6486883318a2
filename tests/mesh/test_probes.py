"""The kubelet's questions, answered by real Envoys with applications behind them."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.envoy.static import make_certificates

from osm.core.envoy.probes import EVERY_ADDRESS, EVERY_IPV4, ProbeListeners
from osm.core.inject.sidecar import _HOLD
from osm.core.model.probe import (
    HEALTH_PORT,
    READY_PATH,
    TCP_PATH,
    HttpProbe,
    ProbeKind,
    Probes,
    TcpProbe,
)
from osm.local.proxy import ask_admin
from osm.testing.builders import pod, service

from .kubelet import Answer, application, ask, own_address
from .serving import PATIENCE_S, Serving

SHOP = (pod("shop"), service("shop", {"port": 80, "name": "http"}))
LIVENESS, READINESS = ProbeKind.LIVENESS, ProbeKind.READINESS


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await condition():  # noqa: ASYNC110 - a proxy is polled
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not in time: {what}")


async def is_ready(address: str) -> bool:
    return (await ask(address, HEALTH_PORT, READY_PATH)).status == 200


async def is_open(address: str, port: int) -> int:
    answer = await ask(address, HEALTH_PORT, TCP_PATH, Original_Tcp_Port=str(port))
    return answer.status


@asynccontextmanager
async def ready_proxy(directory: Path, probes: Probes) -> AsyncIterator[str]:
    """The address where a proxy with these probes is asked."""
    address = own_address()
    serving = Serving(directory, *SHOP)
    listeners = ProbeListeners(probes, address)
    async with serving.running(), serving.envoy("shop", directory, probes=listeners):
        await until(lambda: is_ready(address), "the proxy is ready")
        yield address


async def test_a_proxy_is_ready_with_its_first_configuration_and_not_before(
    tmp_path: Path,
) -> None:
    address = own_address()
    serving = Serving(tmp_path, *SHOP)
    async with application() as app, AsyncExitStack() as control_plane:
        app.answers["/"] = 200, {}
        probes = Probes((HttpProbe(LIVENESS, "web", app.port, "/"),))
        listeners = ProbeListeners(probes, address)
        async with serving.envoy("shop", tmp_path, probes=listeners) as envoy:
            for _ in range(20):
                assert (await ask(address, HEALTH_PORT, READY_PATH)).status == 0
                assert (await ask(address, 15901, "/osm-liveness-probe/web")).status == 0
                await asyncio.sleep(0.1)
            assert (await ask_admin(envoy, "/ready"))[0] == 503
            await control_plane.enter_async_context(serving.running())
            await until(lambda: is_ready(address), "the proxy is ready")
            listening = json.loads((await ask_admin(envoy, "/listeners?format=json"))[1])
            names = {each["name"] for each in listening["listener_statuses"]}
            assert "inbound-listener" in names, "ready means that it has listeners for traffic"
            assert (await ask(address, 15901, "/osm-liveness-probe/web")).status == 200
            # It keeps what it has when the control plane goes.
            await control_plane.aclose()
            assert await is_ready(address)
            await ask_admin(envoy, "/healthcheck/fail", method="POST")
            assert (await ask(address, HEALTH_PORT, READY_PATH)).status == 503


async def test_the_application_gets_the_kubelets_request_and_the_kubelet_its_answer(
    tmp_path: Path,
) -> None:
    async with application() as app:
        app.answers["/alive"] = 200, {"Server": "shop/1.0"}
        app.answers["/ready?deep=1&of=a%20b"] = 503, {}
        app.answers["/moved"] = 302, {"Location": "/alive"}
        probes = Probes(
            (
                HttpProbe(LIVENESS, "web", app.port, "/alive"),
                HttpProbe(READINESS, "moves", app.port, "/moved"),
                HttpProbe(READINESS, "slow", app.port, "/hangs", timeout_s=1),
                HttpProbe(READINESS, "web", app.port, "/ready?deep=1&of=a%20b"),
            )
        )
        async with ready_proxy(tmp_path, probes) as address:
            alive = await ask(
                address, 15901, "/osm-liveness-probe/web", X_Mine="1", Host="shop.example.org"
            )
            assert (alive.status, alive.body) == (200, "ok")
            assert alive.headers["server"] == "shop/1.0"
            (head,) = app.asked
            assert head.split("\r\n") == [
                "GET /alive HTTP/1.1",
                "host: shop.example.org",
                "user-agent: kube-probe/1.35",
                "accept: */*",
                "x-mine: 1",
                "",
                "",
            ]
            assert (await ask(address, 15902, "/osm-readiness-probe/web")).status == 503
            assert app.asked[1].startswith("GET /ready?deep=1&of=a%20b HTTP/1.1\r\n")
            # One try each, on a connection of its own; and nothing is followed.
            moved = await ask(address, 15902, "/osm-readiness-probe/moves")
            assert (moved.status, moved.headers["location"]) == (302, "/alive")
            assert (len(app.asked), app.connections) == (3, 3)
            assert (await ask(address, 15902, "/osm-readiness-probe/slow")).status == 504
            assert (len(app.asked), app.connections) == (4, 4)


async def test_nothing_else_is_reachable_there(tmp_path: Path) -> None:
    async with application() as app:
        app.answers |= {path: (200, {}) for path in ("/alive", "/", "/alive?drop=all")}
        probes = Probes(
            (
                HttpProbe(LIVENESS, "web", app.port, "/alive"),
                HttpProbe(READINESS, "other", app.port, "/alive"),
            )
        )
        async with ready_proxy(tmp_path, probes) as address:
            paths = (
                "/",
                "/alive",
                "/osm-liveness-probe",
                "/osm-liveness-probe/",
                "/osm-liveness-probe/other",
                "/osm-liveness-probe/web/",
                "/osm-liveness-probe/web/../../",
                "/osm-liveness-probe/web?drop=all",
                "/osm-liveness-probe/web?",
                "/osm-liveness-probe/WEB",
                "/osm-liveness-probe/%77eb",
                READY_PATH,
            )
            found = {path: (await ask(address, 15901, path)).status for path in paths}
            assert found == dict.fromkeys(paths, 404)
            for method in ("POST", "DELETE", "HEAD"):
                answer = await ask(address, 15901, "/osm-liveness-probe/web", method=method)
                assert answer.status == 404, method
            upgrade = await ask(
                address, 15901, "/osm-liveness-probe/web", Connection="upgrade", Upgrade="websocket"
            )
            assert upgrade.status == 403
            for path in ("/", "/ready", f"{READY_PATH}/", f"{READY_PATH}?", TCP_PATH):
                assert (await ask(address, HEALTH_PORT, path)).status == 404, path
            assert app.asked == []


async def test_an_application_that_speaks_tls_is_asked_by_tls(tmp_path: Path) -> None:
    """Whatever its certificate says: the kubelet would not look either."""
    chain, key, _ = make_certificates(tmp_path)
    (tmp_path / "app.pem").write_bytes(chain + key)
    async with application(certificate=tmp_path / "app.pem") as app, application() as plain:
        app.answers["/healthz?a=b"] = 200, {}
        plain.answers["/healthz?a=b"] = 200, {}
        probes = Probes(
            (
                HttpProbe(READINESS, "plain", plain.port, "/healthz?a=b", tls=True),
                HttpProbe(READINESS, "safe", app.port, "/healthz?a=b", tls=True),
            )
        )
        async with ready_proxy(tmp_path, probes) as address:
            assert (await ask(address, 15902, "/osm-readiness-probe/safe")).status == 200
            assert app.asked[0].startswith("GET /healthz?a=b HTTP/1.1\r\n")
            assert "x-forwarded-proto" not in app.asked[0]
            # Nobody answers the handshake, or something that is none.
            plainly = await ask(address, 15902, "/osm-readiness-probe/plain")
            assert plainly.status in (503, 504) and plain.asked == []


async def test_a_port_is_open_or_closed(tmp_path: Path) -> None:
    async with application() as soon_gone:
        port = soon_gone.port
    async with application() as always:
        probes = Probes(tcp=(TcpProbe(port, period_s=1), TcpProbe(always.port, period_s=1)))
        async with ready_proxy(tmp_path, probes) as address:

            async def opened() -> bool:
                return await is_open(address, port) == 200

            async def closed() -> bool:
                return await is_open(address, port) == 503

            async def always_open() -> bool:
                return await is_open(address, always.port) == 200

            await until(always_open, "a port that is open is found so")
            assert await closed()
            async with application(port):
                await until(opened, "a port that opens is found so")
            await until(closed, "a port that closes is found so")
            assert await always_open()
            assert always.asked == [], "it is called, and nothing is said"
            assert await is_open(address, 1) == 404, "a port that no probe asks for"
            nothing = await ask(address, HEALTH_PORT, TCP_PATH)
            assert nothing.status == 404


async def test_what_holds_the_start_of_applications_understands_the_answer(tmp_path: Path) -> None:
    """The text of `core.inject`, but for the address."""
    async with ready_proxy(tmp_path, Probes()) as address:
        script = _HOLD.replace("/dev/tcp/127.0.0.1/", f"/dev/tcp/{address}/")
        assert address in script
        process = await asyncio.create_subprocess_exec("bash", "-c", script)
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_a_hundred_containers_are_asked_each_for_itself_and_make_no_more_series(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(application()) for _ in range(10)]
        for number in range(100):
            apps[number % 10].answers[f"/{number}"] = 400 + number, {}

        def probe(kind: ProbeKind, number: int) -> HttpProbe:
            return HttpProbe(kind, f"c-{number}", apps[number % 10].port, f"/{number}")

        http = sorted(probe(kind, number) for kind in ProbeKind for number in range(100))
        address = await stack.enter_async_context(ready_proxy(tmp_path, Probes(tuple(http))))

        async def asked(kind: ProbeKind, number: int) -> Answer:
            return await ask(address, kind.port, f"/osm-{kind}-probe/c-{number}")

        for kind in ProbeKind:
            found = [(await asked(kind, number)).status for number in range(100)]
            assert found == [400 + number for number in range(100)]
        text = (await ask_admin(tmp_path, "/stats?format=prometheus"))[1].decode()
        served = [line for line in text.splitlines() if "upstream_cx_total" in line]
        mine = [line for line in served if "probe" in line]
        assert mine == ['envoy_cluster_upstream_cx_total{envoy_cluster_name="probes"} 300']
        assert "http_probes" not in text


@pytest.mark.parametrize(
    ("address", "hosts"),
    [(EVERY_IPV4, ("127.0.0.1",)), (EVERY_ADDRESS, ("127.0.0.1", "[::1]"))],
)
async def test_the_kubelet_reaches_a_proxy_by_each_family_of_its_pod(
    address: str, hosts: tuple[str, ...], tmp_path: Path
) -> None:
    """In a network of its own: these are the ports of all of a pod's addresses."""
    serving, file = Serving(tmp_path, *SHOP), tmp_path / "answered"
    urls = [f"http://{host}:{HEALTH_PORT}{READY_PATH}" for host in hosts]
    through = (sys.executable, "-m", "tests.mesh.alone", str(file), *urls, "--")
    listeners = ProbeListeners(address=address)
    async with (
        serving.running(),
        serving.envoy("shop", tmp_path, through=through, probes=listeners),
    ):

        async def answered() -> bool:
            return file.exists()

        await until(answered, "it answers at each address")
