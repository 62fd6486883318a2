"""The external authorizer: a real OPA in the mesh, behind an adapter that speaks Envoy's API.

SMI mode: no access rule says that proxies may ask it, but MeshConfig does.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.servers.asked import AUTHORIZER, AUTHORIZER_PORT, OPA_PORT, opa

from osm.core.explain.explanation import Question

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service
from .outside import from_outside, ingress_annotation, ingress_backend

CLIENT, OTHER, SHOP = "client/client-0", "other/other-0", "shop/shop-0"
ORIGIN = "MeshConfig/osm-mesh-config/spec.traffic.inboundExternalAuthorization"
FORWARDED, GRPC = 28432, 9500
PACKAGE = "package envoy.authz\n"
DENY = PACKAGE + "default allow := false\n"
ALLOW = PACKAGE + "default allow := true\n"
OBJECTS = "\n---\n".join(
    (
        puppet("client"),
        puppet("other"),
        puppet("shop", annotations=ingress_annotation(FORWARDED, 8000)),
        service("shop"),
        ingress_backend("shop/shop", 8000),
        puppet("talk", arguments=(f"--grpc={GRPC}",)),
        service("talk", ports=((GRPC, GRPC, "grpc"),)),
        http_access("talk", "talk/talk", ("client/client",)),
        http_access("shop", "shop/shop", ("client/client", "other/other"), path="/[^n].*|/"),
    )
)


def config(*, enable: bool = True, **more: Any) -> str:
    authorization = {"enable": enable, "address": AUTHORIZER, "port": AUTHORIZER_PORT, **more}
    return json.dumps(
        {
            "apiVersion": "config.openservicemesh.io/v1alpha2",
            "kind": "MeshConfig",
            "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
            # A loaded machine may take longer than the default, which is a second.
            "spec": {
                "traffic": {"inboundExternalAuthorization": {"timeout": "10s", **authorization}}
            },
        }
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    (directory / "opa.yaml").write_text(opa(tmp_path_factory.mktemp("opa"), DENY))
    (directory / "config.yaml").write_text(config())
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(5)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def policy(mesh: MeshUnderTest, text: str) -> None:
    """Give OPA another policy, by its own API."""
    path = await _opa(mesh, "GET", "/v1/policies")
    (name,) = [each["id"] for each in json.loads(path)["result"]]
    await _opa(mesh, "PUT", f"/v1/policies/{name}", text)


async def _opa(mesh: MeshUnderTest, method: str, path: str, body: str = "") -> str:
    connection = await mesh.mesh.dial("opa", "opa-0", OPA_PORT)
    reader, writer = await asyncio.open_connection(sock=connection)
    head = f"{method} {path} HTTP/1.0\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())
    first, _, content = (await reader.read(-1)).decode().partition("\r\n\r\n")
    writer.close()
    assert " 200 " in first.split("\r\n")[0], first
    return content


async def configure(mesh: MeshUnderTest, **more: Any) -> None:
    mesh.write("config.yaml", config(**more))
    await mesh.settle()


async def statistics(mesh: MeshUnderTest) -> dict[str, int]:
    """What the shop's proxy counts, under the prefix that MeshConfig gives it by default."""
    text = (await mesh.api.proxy_admin(SHOP, "stats")).decode()
    found = dict(line.rsplit(": ", 1) for line in text.splitlines() if ": " in line)
    return {
        kind: sum(int(n) for name, n in found.items() if name.endswith(f".inboundExtAuthz.{kind}"))
        for kind in ("ok", "denied")
    }


async def test_what_the_authorizer_refuses_is_refused_and_says_who_did(mesh: MeshUnderTest) -> None:
    """OSM's documented observation: OPA's default is to deny, and the caller sees 403."""
    status, headers, _ = await mesh.ask(CLIENT, "shop.shop")
    assert status == 403
    assert headers["x-osm-denied"] == f"ext_authz_denied[{ORIGIN}]"
    await mesh.wait_for(
        lambda: any(
            d.reason == "external-authorizer-refused" and d.source == "client/client"
            for d in mesh.api.view().denials
        ),
        "the control plane knows",
    )


async def test_what_access_rules_refuse_is_told_apart(mesh: MeshUnderTest) -> None:
    status, headers, body = await mesh.ask(CLIENT, "shop.shop", 80, "/no")
    assert status == 403 and "access denied by the mesh: " in body
    assert "no-access-rule-for-request" in headers["x-osm-denied"]


async def test_what_the_authorizer_allows_arrives_with_what_it_adds(mesh: MeshUnderTest) -> None:
    await policy(mesh, ALLOW)
    assert (await mesh.ask(CLIENT, "shop.shop"))[0] == 200
    adds = '{"allowed": true, "headers": {"x-from-opa": "yes"}}'
    await policy(mesh, f"{PACKAGE}allow := {adds}\n")
    _, _, body = await mesh.ask(CLIENT, "shop.shop", headers=[("x-from-opa", "forged")])
    assert json.loads(body)["headers"]["x-from-opa"] == "yes"


async def test_the_authorizer_sees_who_calls_and_what(mesh: MeshUnderTest) -> None:
    await policy(
        mesh,
        DENY
        + """
        allow if {
            input.attributes.source.principal == "spiffe://cluster.local/ns/client/sa/client"
            input.attributes.destination.principal == "spiffe://cluster.local/ns/shop/sa/shop"
            input.attributes.request.http.method == "GET"
            startswith(input.attributes.request.http.path, "/books")
            input.attributes.request.http.headers["x-a"] == "b"
        }
        """,
    )
    before = await statistics(mesh)
    asked = (CLIENT, "shop.shop", 80, "/books?all")
    assert (await mesh.ask(*asked, headers=[("x-a", "b")]))[0] == 200
    assert (await mesh.ask(*asked))[0] == 403
    assert (await mesh.ask(OTHER, *asked[1:], headers=[("x-a", "b")]))[0] == 403
    after = await statistics(mesh)
    assert {name: after[name] - before[name] for name in after} == {"ok": 1, "denied": 2}


async def test_its_answer_is_passed_on_as_it_is(mesh: MeshUnderTest) -> None:
    answer = {"allowed": False, "status": 401, "body": "who?", "headers": {"www-authenticate": "x"}}
    await policy(mesh, f"{PACKAGE}allow := {json.dumps(answer)}\n")
    status, headers, body = await mesh.ask(CLIENT, "shop.shop")
    assert (status, body, headers["www-authenticate"]) == (401, "who?", "x")
    assert ORIGIN in headers["x-osm-denied"]


async def test_it_sees_the_beginning_of_a_body_and_the_application_all_of_it(
    mesh: MeshUnderTest,
) -> None:
    await policy(
        mesh,
        DENY
        + """
        allow if {
            count(input.attributes.request.http.body) == 8192
            startswith(input.attributes.request.http.body, "abab")
        }
        """,
    )
    program = """
        import urllib.request
        body = b"ab" * {length}
        request = urllib.request.Request("http://shop.shop/x", body, method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                result = [answer.status, json.load(answer)["headers"]["content-length"]]
        except urllib.error.HTTPError as error:
            result = [error.code, ""]
        """
    assert await mesh.run(CLIENT, program.format(length=10_000)) == [200, "20000"]
    assert await mesh.run(CLIENT, program.format(length=4095)) == [403, ""]


async def test_a_grpc_stream_need_not_say_all_before_it_is_answered(mesh: MeshUnderTest) -> None:
    program = f"""
        import grpc, queue
        sent, result = queue.Queue(), []
        with grpc.insecure_channel("talk.talk:{GRPC}") as channel:
            chat = channel.stream_stream("/osm.demo.Echo/Chat")
            answers = chat(iter(sent.get, None), timeout=8)
            try:
                for word in (b"a", b"b"):
                    sent.put(word)
                    result.append(next(answers).decode())
            except grpc.RpcError as error:
                result.append(error.code().name)
            sent.put(None)
        """
    await policy(mesh, ALLOW)
    talked = await mesh.run(CLIENT, program)
    assert len(talked) == 2 and "a" in talked[0] and "b" in talked[1]
    await policy(mesh, DENY)
    assert await mesh.run(CLIENT, program) == ["PERMISSION_DENIED"]


async def test_one_that_is_too_slow_has_not_answered(mesh: MeshUnderTest) -> None:
    await policy(mesh, PACKAGE + 'allow := {"allowed": true, "wait_s": 2}\n')
    assert (await mesh.ask(CLIENT, "shop.shop"))[0] == 200
    await configure(mesh, timeout="200ms")
    status, headers, body = await mesh.ask(CLIENT, "shop.shop")
    assert status == 403 and headers["x-osm-denied"] == f"ext_authz_error[{ORIGIN}]"
    assert "its external authorizer did not answer" in body
    await configure(mesh, timeout="200ms", failureModeAllow=True)
    assert (await mesh.ask(CLIENT, "shop.shop"))[0] == 200


async def test_nobody_is_asked_about_the_authorizer_itself(mesh: MeshUnderTest) -> None:
    """Else each question would be a question. Whoever is not a proxy that asks is refused."""
    await configure(mesh)
    await policy(mesh, ALLOW)
    assert (await mesh.ask(CLIENT, "shop.shop"))[0] == 200
    check = "/envoy.service.auth.v3.Authorization/Check"
    for path, is_refused in ((check, False), ("/other", True)):
        status, headers, _ = await mesh.ask(
            CLIENT, AUTHORIZER, AUTHORIZER_PORT, path, method="POST"
        )
        assert (status == 403) == is_refused, path
    assert "no-access-rule-for-source" in headers["x-osm-denied"]


async def test_turning_it_on_and_off_breaks_no_connection_and_counts_at_once(
    mesh: MeshUnderTest,
) -> None:
    """One connection of an application, kept; and a stream that began before."""
    await policy(mesh, DENY)
    await configure(mesh, enable=False)
    await mesh.run(
        CLIENT,
        """
        import http.client, socket
        line = socket.create_connection(("shop.shop", 80), 3)
        line.sendall(b"GET / HTTP/1.1\\r\\nhost: shop.shop\\r\\nconnection: upgrade\\r\\n"
                     b"upgrade: websocket\\r\\n\\r\\n")
        assert b"101" in line.recv(1000)
        kept = http.client.HTTPConnection("shop.shop", 80, timeout=5)
        kept.connect()
        state.update(line=line, kept=kept, socket=kept.sock)
        """,
    )
    found = []
    for enable in (False, True, False, True):
        await configure(mesh, enable=enable)
        found.append(
            await mesh.run(
                CLIENT,
                """
                status = request(state["kept"], "GET", "/")[0]
                state["line"].sendall(b"echo")
                same = state["kept"].sock is state["socket"]
                result = [status, same, state["line"].recv(10).decode()]
                """,
            )
        )
    assert found == [[200, True, "echo"], [403, True, "echo"]] * 2


async def test_explain_tells_of_it(mesh: MeshUnderTest) -> None:
    await configure(mesh)
    explained = mesh.api.explain(Question(CLIENT, "shop.shop", "GET", "/"))
    step = next(s for s in explained.steps if s.title.startswith("external authorization"))
    assert AUTHORIZER in step.text and "is refused" in step.text
    assert [origin.field for origin in step.origins] == [
        "spec.traffic.inboundExternalAuthorization"
    ]


async def test_it_is_asked_about_what_comes_from_outside_too(mesh: MeshUnderTest) -> None:
    await configure(mesh)
    await policy(mesh, DENY + 'allow if startswith(input.attributes.request.http.path, "/open")\n')
    status, headers, _ = await from_outside(FORWARDED)
    assert status == 403 and headers["x-osm-denied"] == f"ext_authz_denied[{ORIGIN}]"
    assert (await from_outside(FORWARDED, "/open"))[0] == 200


@pytest.mark.parametrize(("allow", "expected"), [(False, 403), (True, 200)])
async def test_without_the_authorizer_the_setting_decides(
    mesh: MeshUnderTest, tmp_path: Path, expected: int, *, allow: bool
) -> None:
    mesh.write("opa.yaml", opa(tmp_path, DENY, replicas=0))
    await mesh.wait_for(
        lambda: not any(w.namespace == "opa" for w in mesh.api.view().workloads), "it is gone"
    )
    await configure(mesh, failureModeAllow=allow)
    assert (await mesh.ask(CLIENT, "shop.shop"))[0] == expected
