"""The command on a real cluster: ports forwarded by a real kubelet, proxies that are real Envoys."""

import json
import tarfile
from pathlib import Path

import pytest
from tests.kubernetes.node import Node

from osm import __version__

from .mesh import Mesh
from .pods import app, apply, ready
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
OPEN = {"enablePermissiveTrafficPolicyMode": True, "enableEgress": True}
CLOSED = {"enablePermissiveTrafficPolicyMode": False, "enableEgress": False}


async def test_what_a_person_asks_of_two_pods(
    node: Node, mesh: Mesh, meshed: str, tmp_path: Path
) -> None:
    for name in ("web", "caller"):
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        await apply(node, json.dumps(account), meshed)
    serve = ("python", "-m", "http.server", "8080")
    await apply(node, app("web", *serve, port=8080, serviceAccountName="web"), meshed)
    await apply(node, app("caller", "sleep", "900", serviceAccountName="caller"), meshed)
    (web,) = await ready(node, meshed, "app=web")
    (caller,) = await ready(node, meshed, "app=caller")
    web_pod, caller_pod = web["metadata"]["name"], caller["metadata"]["name"]

    await proxies_are_looked_at(mesh, meshed, web_pod)
    await it_is_verified(mesh, meshed, caller_pod, web_pod)
    await its_lines_are_read(mesh, meshed, web_pod)
    await a_report_is_made(mesh, meshed, web_pod, tmp_path / "report.tar.gz")

    assert __version__ in await mesh.osm("version")
    assert f"{meshed}" in await mesh.osm("mesh", "list")
    health = await mesh.osm("verify", "control-plane")
    assert "Status: Success" in health


async def proxies_are_looked_at(mesh: Mesh, namespace: str, pod: str) -> None:
    async def in_sync() -> bool:
        return (await mesh.try_osm("proxy", "status", f"{namespace}/{pod}")).code == 0

    await eventually(in_sync, "the proxy is in sync")
    listed = await mesh.osm("proxy", "list", "-n", namespace, "-o", "name")
    assert f"{namespace}/{pod}" in listed.splitlines()
    assert "in sync" in await mesh.osm("proxy", "diff", f"{namespace}/{pod}")
    dump = json.loads(await mesh.osm("proxy", "get", "config_dump", pod, "-n", namespace))
    assert any("ListenersConfigDump" in each["@type"] for each in dump["configs"])
    levels = await mesh.osm("proxy", "set", "logging?http=debug", pod, "-n", namespace)
    assert "http: debug" in levels
    assert "no longer" not in await mesh.osm(
        "proxy", "set", "logging?http=error", f"{namespace}/{pod}"
    )


async def it_is_verified(mesh: Mesh, namespace: str, caller: str, web: str) -> None:
    asked = ("--from-pod", f"{namespace}/{caller}", "--to-pod", f"{namespace}/{web}")
    well = await mesh.osm("verify", "connectivity", *asked, "--to-service", "web")
    assert "Status: Success" in well
    pods = (f"{namespace}/{caller}", f"{namespace}/{web}")
    assert "[+] Permissive mode enabled" in await mesh.osm("policy", "check-pods", *pods)
    await mesh.configure(**CLOSED)
    try:

        async def is_closed() -> bool:
            return (await mesh.try_osm("policy", "check-pods", *pods)).code == 1

        await eventually(is_closed, "nobody may call anybody")
        denied = await mesh.try_osm("verify", "connectivity", *asked, "--to-service", "web")
        assert denied.code == 1
        assert "Status: Failure" in denied.out
        assert f'Verify policies for GET / of "web.{namespace}:8080"' in denied.out
        await mesh.allow(namespace, "caller", "web")

        async def is_allowed() -> bool:
            return (
                "via the SMI TrafficTarget policy"
                in (await mesh.try_osm("policy", "check-pods", *pods)).out
            )

        await eventually(is_allowed, "the TrafficTarget counts")
    finally:
        await mesh.configure(**OPEN)


async def its_lines_are_read(mesh: Mesh, namespace: str, pod: str) -> None:
    printed = await mesh.osm("logs", f"{namespace}/{pod}", "--proxy", "--tail", "50")
    assert printed.strip()
    assert (await mesh.try_osm("logs", f"{namespace}/{pod}", "--tail", "5")).code == 0


async def a_report_is_made(mesh: Mesh, namespace: str, pod: str, file: Path) -> None:
    await mesh.osm("support", "bug-report", "--app-pods", f"{namespace}/{pod}", "-o", str(file))
    with tarfile.open(file) as archive:
        names = {each.removeprefix("osm-bug-report/") for each in archive.getnames()}
        contents = b"".join(
            archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive.getmembers()
        )
    folder = f"namespaces/{namespace}/pods/{pod}"
    assert {f"{folder}/config_dump.json", f"{folder}/stats.txt", f"{folder}/envoy.log"} <= names
    assert "control-plane/view.yaml" in names
    assert b"PRIVATE KEY" not in contents
