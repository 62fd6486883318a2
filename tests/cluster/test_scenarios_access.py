"""OSM's end-to-end scenarios: who may call whom, by HTTP, gRPC and TCP, in both modes."""

from pathlib import Path

import pytest
from tests.kubernetes.certificates import Authority

from osm.testing.builders import http_group, target, tcp_route

from .cast import CLOSED, ECHO, GREETING, GRPC, HTTP, OPEN, SECURE, Cast, Document, written
from .pods import apply

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAY = """
import grpc
with {channel} as channel:
    try:
        result = channel.unary_unary("/osm.demo.Echo/Say")(b"hello", timeout=5).decode()
    except grpc.RpcError as error:
        result = error.code().name
"""
SERVE_TLS = """
import grpc
from osm.demo.grpc_echo_server import echo_server
from osm.demo.journal import Journal
server = echo_server("tls", Journal())
credentials = grpc.ssl_server_credentials([({key!r}.encode(), {certificate!r}.encode())])
server.add_secure_port("0.0.0.0:{port}", credentials)
server.start()
state["tls"] = server
"""


def allowed(scene: Cast, *sources: str, rule: str = "HTTPRouteGroup/everything") -> Document:
    """These accounts may call `web` so."""
    name = f"to-web-{rule.rpartition('/')[2]}"
    return target(name, "web", sources, rule, namespace=scene.namespace)


async def test_clients_with_and_without_a_service_call_one_server(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    everything = http_group("everything", namespace=scene.namespace)
    await scene.put(everything, allowed(scene, "caller", "other"))
    for name in ("caller", "other"):
        await scene.answers(name, "web")
        await scene.answers(name, "headless", HTTP)
    await scene.drop()
    for name in ("caller", "other"):
        await scene.answers(name, "web", status=403)
        await scene.answers(name, "headless", HTTP, status=403)


async def test_switching_modes_changes_who_may_call(scene: Cast) -> None:
    await scene.mesh.configure(**OPEN)
    await scene.put(http_group("everything", namespace=scene.namespace), allowed(scene, "caller"))
    for _ in range(2):
        await scene.answers("caller", "web")
        await scene.answers("other", "web")
        await scene.mesh.configure(**CLOSED)
        await scene.answers("other", "web", status=403)
        assert await scene.status("caller", "web") == 200
        await scene.mesh.configure(**OPEN)
        await scene.answers("other", "web")


async def test_two_sources_have_paths_of_their_own(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    for path in ("books", "papers"):
        match = {"name": path, "pathRegex": f"/{path}", "methods": ["GET"]}
        await scene.put(http_group(path, match, namespace=scene.namespace))
    await scene.put(allowed(scene, "caller", rule="HTTPRouteGroup/books"))
    await scene.put(allowed(scene, "other", rule="HTTPRouteGroup/papers"))
    await scene.answers("caller", "web", path="/books")
    await scene.answers("other", "web", path="/papers")
    assert await scene.status("caller", "web", path="/papers") == 403
    assert await scene.status("other", "web", path="/books") == 403
    assert await scene.status("caller", "web", path="/books", method="POST") == 403


async def test_a_target_in_another_namespace_is_refused_or_means_nothing(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    in_place = allowed(scene, "caller")
    stray = {**in_place, "metadata": {"name": "stray", "namespace": scene.outer}}
    # Nobody checks what is written beyond the mesh, and nobody heeds it.
    await apply(
        scene.node,
        written(http_group("everything", namespace=scene.outer), stray),
        scene.outer,
    )
    elsewhere = {**in_place["spec"]["destination"], "namespace": scene.outer}
    wrong = {**in_place, "spec": {**in_place["spec"], "destination": elsewhere}}
    with pytest.raises(RuntimeError, match="OSM142"):
        await scene.put(wrong)
    # What is written last counts, so that what was written before has had its time.
    everything = http_group("everything", namespace=scene.namespace)
    await scene.put(everything, allowed(scene, "other"))
    await scene.answers("other", "web")
    assert await scene.status("caller", "web") == 403


async def test_tcp_is_echoed_while_a_route_or_the_mode_allows_it(scene: Cast) -> None:
    await scene.mesh.configure(**OPEN)
    await scene.echoes("caller", "web")
    await scene.mesh.configure(**CLOSED)
    await scene.is_closed("caller", "web")
    route = tcp_route("echo", ECHO, namespace=scene.namespace)
    await scene.put(route, allowed(scene, "caller", rule="TCPRoute/echo"))
    await scene.echoes("caller", "web")
    assert await scene.talk("other", "web", ECHO) == "closed"
    await scene.drop()
    await scene.is_closed("caller", "web")


async def test_a_server_that_speaks_first_is_heard(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    route = tcp_route("greeting", GREETING, namespace=scene.namespace)
    await scene.put(route, allowed(scene, "caller", rule="TCPRoute/greeting"))

    async def is_greeted() -> bool:
        return (await scene.talk("caller", "web", GREETING, data="")).startswith("hello from v")

    await scene.until(is_greeted, "the server's greeting comes")
    await scene.mesh.configure(**OPEN)
    await scene.until(is_greeted, "it comes in permissive mode, too")


async def test_grpc_is_allowed_by_its_path(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    match = {"name": "say", "pathRegex": "/osm.demo.Echo/Say", "methods": ["POST"]}
    await scene.put(
        http_group("say", match, namespace=scene.namespace),
        allowed(scene, "caller", rule="HTTPRouteGroup/say"),
    )
    channel = f"grpc.insecure_channel('web.{scene.namespace}:{GRPC}')"
    await scene.gives("caller", SAY.format(channel=channel), "hello")
    await scene.drop()
    await scene.gives("caller", SAY.format(channel=channel), "PERMISSION_DENIED")


async def test_grpc_with_tls_of_its_own_is_tcp(scene: Cast, tmp_path: Path) -> None:
    await scene.mesh.configure(**CLOSED)
    authority = Authority(tmp_path, "ca")
    authority.issue("server", "server", hosts=["server"])
    pair = {part: (tmp_path / f"server.{part}").read_text() for part in ("key", "crt")}
    serve = SERVE_TLS.format(key=pair["key"], certificate=pair["crt"], port=SECURE)
    await scene.run("v1", serve)
    route = tcp_route("secure", SECURE, namespace=scene.namespace)
    await scene.put(route, allowed(scene, "caller", rule="TCPRoute/secure"))
    root = authority.pem.decode()
    credentials = f"grpc.ssl_channel_credentials({root!r}.encode())"
    named = "(('grpc.ssl_target_name_override', 'server'),)"
    channel = f"grpc.secure_channel('v1.{scene.namespace}:{SECURE}', {credentials}, {named})"
    await scene.gives("caller", SAY.format(channel=channel), "hello")
    await scene.drop()
    await scene.gives("caller", SAY.format(channel=channel), "UNAVAILABLE")


async def test_every_port_of_a_service_and_every_service_of_a_pod(scene: Cast) -> None:
    await scene.mesh.configure(**OPEN)
    for host in ("v1", "alias"):
        await scene.answers("caller", host, 80)
        await scene.answers("caller", host, 8080)
        await scene.echoes("caller", host, ECHO)
