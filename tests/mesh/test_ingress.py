"""What comes from outside of the mesh, through a real proxy: who, with which certificate, and what."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from osm.core.model.identity import Identity
from osm.ports import KeyPair

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service
from .intruder import client_context, identity, open_tresor, proxy_identity

BUYER, SHOP = "buyer/buyer-0", "shop/shop-0"
PORT = 8000
INSIDE, OUTSIDE = "10.2.3.4", "10.3.0.1"
SERVER_NAME = "shop.shop.cluster.local"
"""What a gateway verifies, as with OSM: `<sa>.<ns>.<trust domain>`."""
FORWARDED = 28431

OBJECTS = "---".join(
    (
        puppet("buyer"),
        puppet("edge"),
        service("edge"),
        service("empty", namespace="edge", selector={"app": "nobody"}),
        puppet("shop", annotations={"local.openservicemesh.io/ingress": f"{FORWARDED}:{PORT}"}),
        service("shop"),
    )
)


class Answer(NamedTuple):
    """`status` is 0 when the connection ended without an answer."""

    status: int
    headers: Mapping[str, str] = {}
    body: str = ""

    @property
    def reason(self) -> str:
        return self.headers.get("x-osm-denied", "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- what tests write, and how they call


def ingress(
    *sources: Mapping[str, str],
    protocol: str = "http",
    tls: Mapping[str, object] | None = None,
    matches: Sequence[str] = (),
    name: str = "shop",
) -> str:
    backend = {"name": "shop", "port": {"number": PORT, "protocol": protocol}}
    api = "specs.smi-spec.io/v1alpha4"
    return json.dumps(
        {
            "apiVersion": "policy.openservicemesh.io/v1alpha1",
            "kind": "IngressBackend",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "backends": [{**backend, **({"tls": tls} if tls is not None else {})}],
                "sources": list(sources),
                "matches": [
                    {"apiGroup": api, "kind": "HTTPRouteGroup", "name": group} for group in matches
                ],
            },
        }
    )


def addresses(text: str) -> dict[str, str]:
    return {"kind": "IPRange", "name": text}


def pods_of(name: str, namespace: str = "edge") -> dict[str, str]:
    return {"kind": "Service", "name": name, "namespace": namespace}


def principal(name: str) -> dict[str, str]:
    return {"kind": "AuthenticatedPrincipal", "name": name}


CERTIFICATE = {"skipClientCertValidation": False}


class Line:
    """A connection to the shop's proxy, as if from `source`."""

    def __init__(
        self,
        mesh: MeshUnderTest,
        source: str,
        context: ssl.SSLContext | None = None,
        server_name: str = SERVER_NAME,
    ) -> None:
        path = mesh.runtime / "pods" / SHOP.replace("/", ".") / f"ingress.{PORT}.sock"
        bare = socket.socket(socket.AF_UNIX)
        bare.settimeout(4)
        try:
            bare.connect(str(path))
            bare.sendall(f"PROXY TCP4 {source} 10.9.9.9 40000 {PORT}\r\n".encode())
            self._line = context.wrap_socket(bare, server_hostname=server_name) if context else bare
        except BaseException:
            bare.close()
            raise

    def ask(self, path: str = "/", method: str = "GET", *headers: str) -> Answer:
        lines = (f"{method} {path} HTTP/1.1", "Host: anything", "Content-Length: 0", *headers)
        try:
            self._line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            with self._line.makefile("rb") as file:
                first = file.readline().split()
                if not first:
                    return Answer(0)
                found = {}
                while line := file.readline().strip().decode():
                    key, _, value = line.partition(": ")
                    found[key.lower()] = value
                body = file.read(int(found.get("content-length", 0))).decode()
        except (ssl.SSLError, ConnectionError):
            return Answer(0)
        return Answer(int(first[1]), found, body)

    def close(self) -> None:
        self._line.close()


def _call(
    mesh: MeshUnderTest,
    source: str,
    context: ssl.SSLContext | None,
    server_name: str,
    *request: str,
) -> Answer:
    try:
        line = Line(mesh, source, context, server_name)
    except (ssl.SSLError, ConnectionError, FileNotFoundError):
        return Answer(0)
    try:
        return line.ask(*request)
    finally:
        line.close()


async def call(
    mesh: MeshUnderTest,
    source: str,
    *request: str,
    context: ssl.SSLContext | None = None,
    server_name: str = SERVER_NAME,
) -> Answer:
    """A request on a connection of its own: path, method, headers."""
    return await asyncio.to_thread(_call, mesh, source, context, server_name, *request)


async def use(mesh: MeshUnderTest, text: str, file: str = "ingress.yaml") -> None:
    mesh.write(file, text)
    await mesh.settle()


async def shown_by(
    mesh: MeshUnderTest, directory: Path, who: Identity | None, alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    """A TLS client with the certificate of an identity of the mesh, or with none."""
    tresor = open_tresor(mesh.state)
    pair = await tresor.issue(who) if who is not None else None
    return _context(directory, tresor.trust_bundle, pair, alpn)


def _context(
    directory: Path, bundle: bytes, pair: KeyPair | None, alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    context = client_context(directory, bundle, pair, alpn=alpn)
    context.check_hostname = True
    return context


# --- plain HTTP


async def test_without_an_ingress_backend_nothing_is_taken(mesh: MeshUnderTest) -> None:
    assert (await call(mesh, INSIDE)).status == 0


async def test_plain_http_is_taken_from_a_range_and_nowhere_else(mesh: MeshUnderTest) -> None:
    await use(mesh, ingress(addresses("10.2.0.0/16")))
    answer = await call(mesh, INSIDE, "/x", "GET", "x-forwarded-client-cert: URI=spiffe://made/up")
    assert answer.status == 200
    seen = json.loads(answer.body)
    assert seen["caller"] == "", "nobody outside may say who calls"
    assert seen["headers"]["x-forwarded-for"] == INSIDE
    refused = await call(mesh, OUTSIDE, "/x")
    assert (refused.status, refused.reason) == (
        403,
        "rbac_access_denied_matched_policy[no-ingress-for-address]",
    )
    assert f"{OUTSIDE} [- -] may not GET /x of shop/shop" in refused.body


async def test_what_callers_say_of_their_address_is_not_believed(mesh: MeshUnderTest) -> None:
    for header in ("x-forwarded-for", "x-real-ip", "x-envoy-external-address", "forwarded"):
        answer = await call(mesh, OUTSIDE, "/", "GET", f"{header}: {INSIDE}")
        assert answer.status == 403, header


async def test_tls_is_not_spoken_where_plain_http_is_meant(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    context = await shown_by(mesh, tmp_path, identity("edge/edge"))
    assert (await call(mesh, INSIDE, context=context)).status == 0


async def test_the_mesh_itself_needs_its_own_rules_all_the_same(mesh: MeshUnderTest) -> None:
    status, headers, _ = await mesh.get(BUYER, "http://shop.shop/x")
    assert status == 403 and "no-access-rule-for-source" in headers["x-osm-denied"]
    await use(mesh, http_access("buyers", "shop/shop", ("buyer/buyer",)), "access.yaml")
    status, _, body = await mesh.get(BUYER, "http://shop.shop/x")
    assert status == 200 and "URI=spiffe://cluster.local/ns/buyer/sa/buyer" in body


async def test_the_pods_of_a_service_are_a_source(mesh: MeshUnderTest) -> None:
    await use(mesh, ingress(pods_of("edge")))
    edge = mesh.control_plane.model.workloads["edge", "edge-0"].ip
    assert (await call(mesh, edge)).status == 200
    assert (await call(mesh, INSIDE)).status == 403


@pytest.mark.parametrize("name", ["empty", "gone"])
async def test_a_source_without_pods_lets_nobody_in(mesh: MeshUnderTest, name: str) -> None:
    await use(mesh, ingress(pods_of(name)))
    for source in (INSIDE, OUTSIDE):
        assert (await call(mesh, source)).status == 403, source
    assert "OSM343" in {finding.code for finding in mesh.control_plane.model.findings}


async def test_matches_limit_the_requests(mesh: MeshUnderTest) -> None:
    group = http_access("pages", "shop/shop", ("x/x",), path="/pages/.*", methods=("GET",))
    await use(mesh, group, "group.yaml")
    await use(mesh, ingress(addresses("10.2.0.0/16"), matches=("pages",)))
    assert (await call(mesh, INSIDE, "/pages/1?q=/x")).status == 200
    for path, method in (
        ("/pages/1", "POST"),
        ("/other", "GET"),
        ("/pages/../other", "GET"),
        ("/other?/pages/1", "GET"),
    ):
        answer = await call(mesh, INSIDE, path, method)
        assert answer.status == 403 and "no-ingress-for-request" in answer.reason, path
    assert (await call(mesh, OUTSIDE, "/pages/1")).status == 403


async def test_a_match_that_does_not_exist_allows_nothing(mesh: MeshUnderTest) -> None:
    await use(mesh, ingress(addresses("10.2.0.0/16"), matches=("gone",)))
    assert (await call(mesh, INSIDE, "/pages/1")).status == 403
    await use(mesh, ingress(addresses("10.2.0.0/16"), matches=("gone", "pages")))
    assert (await call(mesh, INSIDE, "/pages/1")).status == 200
    assert (await call(mesh, INSIDE, "/other")).status == 403


async def test_a_port_of_this_machine_leads_through_the_proxy(mesh: MeshUnderTest) -> None:
    url = next(w.web for w in mesh.api.view().workloads if w.name == "shop-0")
    port = int(url.rstrip("/").rpartition(":")[2])

    async def ask() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        first = await reader.readline()
        writer.close()
        return int(first.split()[1])

    assert await ask() == 403
    await use(mesh, ingress(addresses("127.0.0.1/32")))
    assert await ask() == 200


# --- withdrawal


async def test_a_withdrawal_counts_for_the_next_request_of_a_living_connection(
    mesh: MeshUnderTest,
) -> None:
    await use(mesh, ingress(addresses("10.2.0.0/16")))
    line = await asyncio.to_thread(Line, mesh, INSIDE)
    try:
        assert (await asyncio.to_thread(line.ask)).status == 200
        assert (await asyncio.to_thread(line.ask)).status == 200
        mesh.remove("ingress.yaml")
        await mesh.settle()
        assert (await asyncio.to_thread(line.ask)).status in (403, 0)
    finally:
        line.close()
    assert (await call(mesh, INSIDE)).status == 0
    status, _, body = await mesh.get(BUYER, "http://shop.shop/x")
    assert status == 200, f"the mesh's own traffic goes on, but: {body}"


# --- HTTPS


async def test_https_wants_a_certificate_with_the_right_name(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    await use(
        mesh,
        ingress(principal("edge.edge.cluster.local"), protocol="https", tls=CERTIFICATE),
    )
    right = await shown_by(mesh, tmp_path, identity("edge/edge"))
    answer = await call(mesh, INSIDE, "/x", context=right)
    assert answer.status == 200
    assert json.loads(answer.body)["caller"].endswith("URI=spiffe://cluster.local/ns/edge/sa/edge")
    wrong = await shown_by(mesh, tmp_path, identity("edge/other"))
    refused = await call(mesh, INSIDE, "/x", context=wrong)
    assert (refused.status, "no-ingress-for-principal" in refused.reason) == (403, True)
    assert "spiffe://cluster.local/ns/edge/sa/other other.edge.cluster.local" in refused.body
    nobody = await shown_by(mesh, tmp_path, None)
    assert (await call(mesh, INSIDE, context=nobody)).status == 0
    assert (await call(mesh, INSIDE)).status == 0, "plain HTTP"


async def test_a_certificate_of_somebody_elses_root_is_worth_nothing(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    pair = await open_tresor(tmp_path / "state").issue(identity("edge/edge"))
    context = _context(tmp_path, open_tresor(mesh.state).trust_bundle, pair)
    assert (await call(mesh, INSIDE, context=context)).status == 0


async def test_gateways_speak_http2_too(mesh: MeshUnderTest, tmp_path: Path) -> None:
    context = await shown_by(mesh, tmp_path, identity("edge/edge"), ("h2", "http/1.1"))
    line = await asyncio.to_thread(Line, mesh, INSIDE, context)
    try:
        assert isinstance(line._line, ssl.SSLSocket)
        assert line._line.selected_alpn_protocol() == "h2"
    finally:
        line.close()


async def test_a_principal_may_be_a_uri_or_anybody_but_no_bootstrap_certificate(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    uri = principal("spiffe://cluster.local/ns/edge/sa/edge")
    await use(mesh, ingress(uri, protocol="https"))
    edge = await shown_by(mesh, tmp_path, identity("edge/edge"))
    other = await shown_by(mesh, tmp_path, identity("edge/edg"))
    assert (await call(mesh, INSIDE, context=edge)).status == 200
    assert (await call(mesh, INSIDE, context=other)).status == 403
    await use(mesh, ingress(principal("*"), protocol="https"))
    assert (await call(mesh, INSIDE, context=other)).status == 200
    tresor = open_tresor(mesh.state)
    bootstrap = await tresor.issue(proxy_identity(BUYER))
    context = _context(tmp_path, tresor.trust_bundle, bootstrap)
    assert (await call(mesh, INSIDE, context=context)).status == 403


async def test_addresses_and_principals_must_both_fit(mesh: MeshUnderTest, tmp_path: Path) -> None:
    name = principal("edge.edge.cluster.local")
    await use(mesh, ingress(name, addresses("10.2.0.0/16"), protocol="https"))
    edge = await shown_by(mesh, tmp_path, identity("edge/edge"))
    other = await shown_by(mesh, tmp_path, identity("edge/other"))
    assert (await call(mesh, INSIDE, context=edge)).status == 200
    assert (await call(mesh, OUTSIDE, context=edge)).status == 403
    assert (await call(mesh, INSIDE, context=other)).status == 403


async def test_without_client_certificates_tls_and_addresses_remain(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    skip = {"skipClientCertValidation": True}
    await use(mesh, ingress(addresses("10.2.0.0/16"), protocol="https", tls=skip))
    nobody = await shown_by(mesh, tmp_path, None)
    assert (await call(mesh, INSIDE, context=nobody)).status == 200
    assert (await call(mesh, OUTSIDE, context=nobody)).status == 403
    assert (await call(mesh, INSIDE)).status == 0, "plain HTTP"


async def test_server_names_choose(mesh: MeshUnderTest, tmp_path: Path) -> None:
    skip = {"skipClientCertValidation": True, "sniHosts": ["shop.example.com", "*.a.test"]}
    await use(mesh, ingress(addresses("10.2.0.0/16"), protocol="https", tls=skip))
    nobody = await shown_by(mesh, tmp_path, None)
    nobody.check_hostname = False
    for name, status in (
        ("shop.example.com", 200),
        ("x.a.test", 200),
        ("a.test", 0),
        ("other.example.com", 0),
    ):
        answer = await call(mesh, INSIDE, context=nobody, server_name=name)
        assert answer.status == status, name


async def test_after_all_that_the_mesh_still_does_what_it_did(mesh: MeshUnderTest) -> None:
    status, _, body = await mesh.get(BUYER, "http://shop.shop/x")
    assert status == 200 and "URI=spiffe://cluster.local/ns/buyer/sa/buyer" in body
