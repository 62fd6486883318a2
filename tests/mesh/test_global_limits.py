"""Limits that a server keeps for all proxies: the real rate limit service, with Valkey, in the mesh.

It counts by the clock's minutes, and a test must not meet the end of one: here everything is per day.
What each test uses up is its own, since descriptors have values of their own.
"""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.servers.asked import LIMITER, LIMITER_PORT, rate_limit_service

from .harness import (
    MeshUnderTest,
    http_access,
    local_mesh,
    mesh_config,
    puppet,
    service,
    tcp_access,
)
from .outside import from_outside, ingress_annotation, ingress_backend

CLIENT, OTHER, SHOP, BANK = "client/client-0", "other/other-0", "shop/shop-0", "bank/bank-0"
ECHO, FORWARDED = 9000, 28433
SERVER = {"host": LIMITER, "port": LIMITER_PORT}
PATIENT = {"rateLimitService": SERVER, "domain": "test", "timeout": "10s", "failOpen": False}
"""A loaded machine takes longer than the default of 20 ms, and then there would be no limit."""
OUTSIDE: list[dict[str, Any]] = [{"entries": [{"remoteAddress": {}}]}]


def per_day(key: str, count: int, value: str = "") -> dict[str, Any]:
    limit = {"unit": "day", "requests_per_unit": count}
    return {"key": key, **({"value": value} if value else {}), "rate_limit": limit}


RULES = {
    "domain": "test",
    "descriptors": [
        per_day("my_key", 1, "my_value"),
        per_day("generic_key", 1, "one"),
        per_day("generic_key", 1, "route"),
        per_day("generic_key", 2, "host"),
        per_day("generic_key", 1, "100%"),
        per_day("generic_key", 2, "rest"),
        per_day("generic_key", 1, "grpc"),
        per_day("remote_address", 3),
        per_day("remote_address", 2, "127.0.0.1"),
        per_day("my-header", 5, "foo"),
        per_day("header_match", 7, "foo"),
        *(per_day("header_match", 1, f"kind-{kind}") for kind in range(7)),
        {"key": "both", "value": "a", "descriptors": [per_day("my-header", 1)]},
    ],
}
OBJECTS = "\n---\n".join(
    (
        puppet("client"),
        puppet("other"),
        puppet("shop", annotations=ingress_annotation(FORWARDED, 8000)),
        service("shop"),
        ingress_backend("shop/shop", 8000),
        puppet("bank", arguments=(f"--echo={ECHO}",)),
        service("bank", ports=((ECHO, ECHO, "tcp"),)),
        http_access("shop", "shop/shop", ("client/client", "other/other")),
        tcp_access("bank", "bank/bank", ("client/client",)),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    files = tmp_path_factory.mktemp("limits")
    (directory / "apps.yaml").write_text(OBJECTS)
    (directory / "rls.yaml").write_text(rate_limit_service(files, RULES))
    # SMI mode: nobody has said that proxies may call the server, but who names it there.
    (directory / "config.yaml").write_text(mesh_config(permissive=False))
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(5)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- what tests write


def setting(host: str, spec: dict[str, Any]) -> str:
    namespace, _, name = host.partition("/")
    return json.dumps(
        {
            "apiVersion": "policy.openservicemesh.io/v1alpha1",
            "kind": "UpstreamTrafficSetting",
            "metadata": {"name": "limits", "namespace": namespace},
            "spec": {"host": f"{name}.{namespace}.svc.cluster.local", **spec},
        }
    )


def of_host(*entries: Any, **more: Any) -> dict[str, Any]:
    """A limit of requests by one descriptor."""
    http = {**PATIENT, "descriptors": [{"entries": list(entries)}] if entries else [], **more}
    return {"rateLimit": {"global": {"http": http}}}


def of_route(path: str, *entries: Any) -> dict[str, Any]:
    limit = {"global": {"descriptors": [{"entries": list(entries)}]}}
    return {"httpRoutes": [{"path": path, "rateLimit": limit}]}


def fixed(value: str) -> dict[str, Any]:
    return {"genericKey": {"value": value}}


def fits(value: str, *headers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"headerValueMatch": {"value": value, "headers": list(headers), **more}}


async def put(mesh: MeshUnderTest, *settings: str) -> None:
    mesh.write("limits.yaml", "\n---\n".join(settings) or "# none")
    await mesh.settle()


async def statuses(
    mesh: MeshUnderTest, requests: int = 10, *, pod: str = CLIENT, **headers: str
) -> dict[str, int]:
    """How often each status came; `my_header="x"` is a header."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    counts = await mesh.count(pod, "shop.shop", 80, "/", requests=requests, headers=lines)
    return {key if key.startswith("status") else "200": number for key, number in counts.items()}


async def statistic(mesh: MeshUnderTest, pod: str, name: str) -> int:
    text = (await mesh.api.proxy_admin(pod, "stats")).decode()
    found = [line.rpartition(": ")[2] for line in text.splitlines() if line.startswith(f"{name}: ")]
    return int(found[0]) if found else 0


# --- OSM's demo


async def test_one_connection_is_let_in_and_no_other(mesh: MeshUnderTest) -> None:
    """OSM's demo: ten calls of three workers, of whom the first gets the one connection and keeps it
    (4 calls); the others try a new connection for each call (3 and 3) and get none. fortio's workers
    run side by side; here one follows the other, so that which one is first is known.
    """
    descriptors = [{"entries": [{"key": "my_key", "value": "my_value"}]}]
    tcp = {**PATIENT, "descriptors": descriptors}
    await put(mesh, setting("bank/bank", {"rateLimit": {"global": {"tcp": tcp}}}))
    calls = f"""
        import socket
        line = socket.create_connection(("bank.bank", {ECHO}), 10)
        result = []
        for _ in range(4):
            line.sendall(b"ping")
            result.append("answered" if line.recv(10) == b"ping" else "closed")
        result += [talk("bank.bank", {ECHO}, timeout=10)[0] for _ in range(6)]
        """
    outcomes = await mesh.run(CLIENT, calls, timeout=80)
    assert outcomes[:4] == ["answered"] * 4
    assert "answered" not in outcomes[4:] and len(outcomes) == 10
    # The caller's proxy tries each of these again.
    over = await statistic(mesh, BANK, f"ratelimit.inbound_bank/bank_{ECHO}_tcp.over_limit")
    assert over >= 6
    await put(mesh)
    assert await mesh.run(CLIENT, f"result = talk('bank.bank', {ECHO})[0]") == "answered"


@pytest.mark.parametrize(
    ("entry", "headers", "expected"),
    [
        (fixed("one"), {}, {"200": 1, "status 429": 9}),
        ({"remoteAddress": {}}, {}, {"200": 3, "status 429": 7}),
        (
            {"requestHeader": {"name": "my-header", "key": "my-header"}},
            {"my_header": "foo"},
            {"200": 5, "status 429": 5},
        ),
        ({"requestHeader": {"name": "my-header", "key": "my-header"}}, {}, {"200": 10}),
        (
            fits(
                "foo",
                {"name": "my-header", "present": True},
                {"name": "other-header", "present": False},
            ),
            {"my_header": "x"},
            {"200": 7, "status 429": 3},
        ),
        (
            fits(
                "foo",
                {"name": "my-header", "present": True},
                {"name": "other-header", "present": False},
            ),
            {"my_header": "x", "other_header": "y"},
            {"200": 10},
        ),
    ],
)
async def test_requests_above_the_limit_are_refused(
    mesh: MeshUnderTest, entry: dict[str, Any], headers: dict[str, str], expected: dict[str, int]
) -> None:
    await put(mesh, setting("shop/shop", of_host(entry)))
    assert await statuses(mesh, 10, **headers) == expected


# --- beyond it


async def test_callers_are_told_apart_by_what_proves_who_they_are(mesh: MeshUnderTest) -> None:
    """The client has used up its own above. What it says of itself gets it no new count."""
    await put(mesh, setting("shop/shop", of_host({"remoteAddress": {}})))
    assert await statuses(mesh, 2, x_forwarded_for="192.0.2.1") == {"status 429": 2}
    assert await statuses(mesh, 4, pod=OTHER) == {"200": 3, "status 429": 1}


NAME = {"name": "my-header"}
KINDS: Sequence[tuple[dict[str, Any], str, str]] = (
    ({"exact": "abc"}, "abc", "ab"),
    ({"prefix": "ab"}, "abc", "bab"),
    ({"suffix": "bc"}, "abc", "bca"),
    ({"regex": "a.*c"}, "abc", "abcd"),
    ({"contains": "b"}, "abc", "acc"),
    ({"present": True}, "abc", ""),
)


@pytest.mark.parametrize("number", range(6))
async def test_a_header_fits_by_each_of_six_conditions(mesh: MeshUnderTest, number: int) -> None:
    condition, fitting, other = KINDS[number]
    await put(mesh, setting("shop/shop", of_host(fits(f"kind-{number}", {**NAME, **condition}))))
    others = {"my_header": other} if other else {}
    assert await statuses(mesh, 3, pod=CLIENT, **others) == {"200": 3}
    assert await statuses(mesh, 3, my_header=fitting) == {"200": 1, "status 429": 2}


async def test_an_entry_can_be_for_requests_that_do_not_fit(mesh: MeshUnderTest) -> None:
    entry = fits("kind-6", {**NAME, "exact": "abc"}, expectMatch=False)
    await put(mesh, setting("shop/shop", of_host(entry)))
    assert await statuses(mesh, 3, my_header="abc") == {"200": 3}
    assert await statuses(mesh, 3) == {"200": 1, "status 429": 2}


async def test_a_descriptor_can_have_several_entries(mesh: MeshUnderTest) -> None:
    entries = (
        {"genericKey": {"key": "both", "value": "a"}},
        {"requestHeader": {"name": "my-header", "key": "my-header"}},
    )
    await put(mesh, setting("shop/shop", of_host(*entries)))
    for value in ("x", "y"):
        assert await statuses(mesh, 3, my_header=value) == {"200": 1, "status 429": 2}


async def test_a_refusal_names_the_limit_and_has_the_status_that_was_written(
    mesh: MeshUnderTest,
) -> None:
    await put(mesh, setting("shop/shop", of_host(fixed("100%"), responseStatusCode=503)))
    assert await statuses(mesh, 1) == {"200": 1}
    status, headers, _ = await mesh.ask(CLIENT, "shop.shop")
    assert status == 503
    assert headers["x-osm-limited"] == (
        "UpstreamTrafficSetting shop/limits spec.rateLimit.global.http"
    )


async def test_answers_tell_what_is_left_if_that_is_wanted(mesh: MeshUnderTest) -> None:
    await put(mesh, setting("shop/shop", of_host(fixed("rest"), enableXRateLimitHeaders=True)))
    left = [(await mesh.ask(CLIENT, "shop.shop"))[1]["x-ratelimit-remaining"] for _ in range(3)]
    assert left == ["1", "0", "0"]


async def test_the_limit_of_a_route_stands_in_place_of_that_of_its_host(
    mesh: MeshUnderTest,
) -> None:
    """In SMI mode; the one access rule has no path, so its route is `.*`."""
    spec = {**of_host(fixed("host")), **of_route(".*", fixed("route"))}
    await put(mesh, setting("shop/shop", spec))
    assert await statuses(mesh, 3) == {"200": 1, "status 429": 2}
    await put(
        mesh, setting("shop/shop", {**of_host(fixed("host")), **of_route("/x", fixed("one"))})
    )
    assert await statuses(mesh, 3) == {"200": 2, "status 429": 1}


async def test_what_access_rules_refuse_asks_nobody(mesh: MeshUnderTest) -> None:
    await put(mesh, setting("shop/shop", of_host(fixed("grpc"))))
    counts = await mesh.count(BANK, "shop.shop", 80, "/", requests=3)
    assert counts == {"status 403": 3}
    assert await statuses(mesh, 1) == {"200": 1}


async def test_nobody_else_may_call_the_server_and_explain_says_why(mesh: MeshUnderTest) -> None:
    await put(mesh, setting("shop/shop", of_host(fixed("host"))))
    status, headers, _ = await mesh.ask(
        CLIENT,
        LIMITER,
        LIMITER_PORT,
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
        method="POST",
    )
    assert status == 403 and "no-access-rule" in headers["x-osm-denied"]


LOCAL = {"unit": "hour"}


@pytest.mark.parametrize(
    ("limit", "refused", "object_"),
    [
        ({"global": {"http": {**PATIENT, "descriptors": OUTSIDE}}}, 429, "global.http"),
        ({"local": {"http": {**LOCAL, "requests": 2}}}, 429, "local.http"),
        ({"local": {"tcp": {**LOCAL, "connections": 2}}}, 0, ""),
    ],
)
async def test_limits_are_for_what_comes_from_outside_too(
    mesh: MeshUnderTest, limit: dict[str, Any], refused: int, object_: str
) -> None:
    """There the address is that of the connection, whatever a caller says."""
    await put(mesh, setting("shop/shop", {"rateLimit": limit}))
    said = (("x-forwarded-for", "192.0.2.1"),)
    answers = [await from_outside(FORWARDED, headers=said) for _ in range(4)]
    assert [status for status, *_ in answers] == [200, 200, refused, refused]
    if object_:
        limited = answers[-1][1]["x-osm-limited"]
        assert limited == f"UpstreamTrafficSetting shop/limits spec.rateLimit.{object_}"


@pytest.mark.parametrize(
    ("fail_open", "expected"), [(True, {"200": 3}), (False, {"status 500": 3})]
)
async def test_without_an_answer_the_setting_decides(
    mesh: MeshUnderTest, tmp_path: Path, expected: dict[str, int], *, fail_open: bool
) -> None:
    more = {"failOpen": fail_open, "timeout": "1s"}
    descriptors = [{"entries": [{"key": "my_key", "value": "my_value"}]}]
    tcp = {**PATIENT, "descriptors": descriptors, **more}
    await put(
        mesh,
        setting("shop/shop", of_host(fixed("one"), **more)),
        setting("bank/bank", {"rateLimit": {"global": {"tcp": tcp}}}),
    )
    mesh.write("rls.yaml", rate_limit_service(tmp_path, RULES, replicas=0))
    await mesh.wait_for(
        lambda: not any(w.namespace == "rls" for w in mesh.api.view().workloads), "it is gone"
    )
    await mesh.settle()
    assert await statuses(mesh, 3) == expected
    talked = await mesh.run(CLIENT, f"result = talk('bank.bank', {ECHO})[0]")
    assert (talked == "answered") == fail_open
