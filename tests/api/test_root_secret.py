"""The root certificate in a Secret: one for all replicas, never written over (row I12)."""

import asyncio
import base64
import json
from datetime import UTC, datetime

import pytest
from tests.kubernetes.control_plane import ControlPlane

from osm.core.install.names import Installation
from osm.errors import IssuerError
from osm.issuers.root_pem import Place, create_root, parse_root
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.root_secret import read_or_create_root

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = Place("the certificate", "the key", "")


def new_root() -> tuple[bytes, bytes]:
    return create_root(NOW)


async def test_of_many_that_make_one_all_have_the_same(
    cluster: ControlPlane, namespace: str
) -> None:
    servers = [ApiServer.open(cluster.kubeconfig) for _ in range(5)]
    installation = Installation("osm", namespace)
    try:
        for number in range(20):
            roots = await asyncio.gather(
                *(
                    read_or_create_root(server, installation, f"root-{number}", new_root)
                    for server in servers
                )
            )
            assert len(set(roots)) == 1
            parse_root(*roots[0], PLACE)
    finally:
        await asyncio.gather(*(server.close() for server in servers))


async def test_what_is_there_is_taken_and_never_written_over(
    cluster: ControlPlane, namespace: str
) -> None:
    """OSM's own Secret has the same keys."""
    certificate, key = new_root()
    await put(cluster, namespace, {"ca.crt": certificate, "private.key": key})
    before = await cluster.kubectl("get", "secret", "osm-ca-bundle", "-n", namespace, "-o", "json")
    server = ApiServer.open(cluster.kubeconfig)
    try:
        found = await read_or_create_root(
            server, Installation("osm", namespace), "osm-ca-bundle", new_root
        )
    finally:
        await server.close()
    assert found == (certificate, key)
    after = await cluster.kubectl("get", "secret", "osm-ca-bundle", "-n", namespace, "-o", "json")
    assert json.loads(before) == json.loads(after)


@pytest.mark.parametrize(
    ("data", "says"),
    [({"ca.crt": b"x"}, "private.key"), ({}, "ca.crt"), ({"other": b"x"}, "ca.crt")],
    ids=["no key", "empty", "foreign"],
)
async def test_half_a_root_is_refused_and_left(
    cluster: ControlPlane, namespace: str, data: dict[str, bytes], says: str
) -> None:
    await put(cluster, namespace, data)
    server = ApiServer.open(cluster.kubeconfig)
    try:
        with pytest.raises(IssuerError, match=f"osm-ca-bundle has no {says}"):
            await read_or_create_root(
                server, Installation("osm", namespace), "osm-ca-bundle", new_root
            )
    finally:
        await server.close()
    text = await cluster.kubectl("get", "secret", "osm-ca-bundle", "-n", namespace, "-o", "json")
    assert set(json.loads(text).get("data", {})) == set(data)


async def put(cluster: ControlPlane, namespace: str, data: dict[str, bytes]) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "osm-ca-bundle"},
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }
    await cluster.kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(secret))
