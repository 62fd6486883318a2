"""`osm support bug-report`, `mesh list`, `version`, `dashboard` and `verify control-plane` on a cluster."""

import asyncio
import base64
import json
import re
import stat
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane

from osm import __version__

from .kubelet import Kubelet, kubelet
from .meshes import CONTROLLER, standing_mesh, standing_shop
from .verbs import osm, start_osm

pytestmark = pytest.mark.asyncio(loop_scope="session")
CANARY = "canary7b1f"
KEY = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"
TOKEN = f"eyJhbGciOiJFUzI1NiJ9.{CANARY}.{CANARY}"
DUMP = {
    "configs": [
        {
            "name": "service-cert",
            "tls_certificate": {
                "certificate_chain": {"inline_string": "-----BEGIN CERTIFICATE-----\nshown"},
                "private_key": {"inline_bytes": base64.b64encode(KEY.encode()).decode()},
            },
            "request_headers_to_add": [{"header": {"key": "x-api-key", "value": CANARY}}],
        }
    ]
}


@pytest_asyncio.fixture(loop_scope="session")
async def node(cluster: ControlPlane) -> AsyncIterator[Kubelet]:
    async with kubelet(cluster) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(cluster: ControlPlane, node: Kubelet) -> AsyncIterator[str]:
    async with standing_mesh(cluster, node) as name:
        yield name


async def test_a_report_has_what_is_needed_and_no_secret(
    cluster: ControlPlane, mesh: str, namespace: str, node: Kubelet, tmp_path: Path
) -> None:
    literal = f"--from-literal=private.key={KEY}"
    await cluster.kubectl("create", "secret", "generic", "osm-ca-bundle", "-n", mesh, literal)
    await cluster.kubectl(
        "label", "namespace", namespace, f"openservicemesh.io/monitored-by={mesh}"
    )
    note = f"kubectl.kubernetes.io/last-applied-configuration={json.dumps({'a': CANARY})}"
    node.logs[CONTROLLER, "osm-controller"] = (
        f"2026-11-21T10:00:00Z started\n2026-11-21T10:00:01Z Authorization: Bearer {CANARY}\n"
        f"2026-11-21T10:00:02Z vault token={CANARY} url=https://u:{CANARY}@vault/\n"
    )
    node.logs["cart", "envoy"] = f"2026-11-21T10:00:00Z shown: {TOKEN}\n{KEY}"
    answers = {
        "config_dump": json.dumps(DUMP).encode(),
        "stats": b"cluster.a.upstream_cx_total: 7\n",
    }
    file = tmp_path / "report.tar.gz"
    async with standing_shop(cluster, namespace, node, answers):
        await cluster.kubectl("annotate", "pod", "cart", "-n", namespace, note)
        await with_secret_settings(cluster, namespace, node)
        result = await osm(
            cluster, "support", "bug-report", "--mesh", mesh, "--all", "-o", str(file)
        )
    assert result.code == 0, result.err
    assert result.out == f"[+] Bug report written to {file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        entries = {
            member.name.removeprefix("osm-bug-report/"): archive.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in archive.getmembers()
        }
    for name, content in entries.items():
        assert CANARY not in content, name
        assert base64.b64encode(KEY.encode()).decode()[:40] not in content, name
    pod = f"namespaces/{namespace}/pods/cart"
    assert "started" in entries[f"control-plane/{CONTROLLER}/osm-controller.log"]
    assert "private.key" in entries["control-plane/secret-names.yaml"]
    assert "shown" in entries[f"{pod}/config_dump.json"]
    assert "shown: [removed]" in entries[f"{pod}/envoy.log"]
    assert "upstream_cx_total: 7" in entries[f"{pod}/stats.txt"]
    assert "name: osm-controller" in entries["control-plane/deployments.yaml"]
    assert "proxies:" in entries["control-plane/view.yaml"]
    assert "the proxy of" in entries["problems.txt"]  # that of the pod that waits
    again = await osm(cluster, "support", "bug-report", "--mesh", mesh, "-o", str(file))
    assert again.code == 1
    assert "File exists" in again.err


def cells(line: str) -> list[str]:
    return re.split(" {2,}", line)


async def with_secret_settings(cluster: ControlPlane, namespace: str, node: Kubelet) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless", "labels": {"osm-proxy-uuid": "b2"}},
        "spec": {
            "nodeName": node.node,
            "containers": [
                {
                    "name": "app",
                    "image": "mesh.local/app:1",
                    "args": ["--vault-token", CANARY, f"--password={CANARY}", "--verbose"],
                    "env": [{"name": "DB_PASS", "value": CANARY}, {"name": "KEY", "value": KEY}],
                }
            ],
        },
    }
    await cluster.kubectl("create", "-n", namespace, "-f", "-", text=json.dumps(pod))


async def test_meshes_are_listed_as_osm_lists_them(
    cluster: ControlPlane, mesh: str, namespace: str
) -> None:
    await cluster.kubectl(
        "label", "namespace", namespace, f"openservicemesh.io/monitored-by={mesh}"
    )
    result = await osm(cluster, "mesh", "list")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == ""
    assert cells(lines[1]) == ["MESH NAME", "MESH NAMESPACE", "VERSION", "ADDED NAMESPACES"]
    rows = [cells(line) for line in lines]
    assert [mesh, mesh, "v1.2.3", namespace] in rows
    assert ["MESH NAME", "MESH NAMESPACE", "SMI SUPPORTED"] in rows
    smi = next(row[2] for row in rows if row[:2] == [mesh, mesh] and len(row) == 3)
    assert "TrafficTarget:v1alpha3" in smi.split(",")
    assert lines[-1] == "\tkubectl get pods -n <osm-mesh-namespace> -l app=osm-controller"


async def test_the_version_of_a_control_plane_is_what_it_answers(
    cluster: ControlPlane, mesh: str
) -> None:
    result = await osm(cluster, "version", "--osm-namespace", mesh)
    assert result.code == 0, result.err
    first, _, headers, row = result.out.splitlines()
    assert first == f"osm {__version__}"
    assert cells(headers) == [
        "MESH NAME", "MESH NAMESPACE", "VERSION", "GIT COMMIT", "BUILD DATE",
    ]  # fmt: skip
    assert row.split()[:3] == [mesh, mesh, __version__]
    as_json = await osm(cluster, "version", "--osm-namespace", mesh, "-o", "json")
    known = {"name": mesh, "namespace": mesh, "version": __version__}
    assert json.loads(as_json.out) == {"clientVersion": __version__, "meshes": [known]}


async def test_the_health_of_a_control_plane_tells_what_is_missing(
    cluster: ControlPlane, mesh: str
) -> None:
    result = await osm(cluster, "verify", "control-plane", "--mesh", mesh)
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0] == "-" * 45
    assert lines[1] == (
        f'[+] Context: Verify the health of OSM control plane "{mesh}" in namespace "{mesh}"'
    )
    assert lines[2:4] == ["Status: Failure", "Reason: A verification step failed"]
    assert f'[++] Context: Verify that pod "{mesh}/{CONTROLLER}" answers at /health/ready' in lines
    webhook = lines.index(f'[++] Context: Verify MutatingWebhookConfiguration "osm-webhook-{mesh}"')
    assert lines[webhook + 1 : webhook + 3] == ["Status: Failure", "Reason: There is none"]
    service = lines.index(f'[++] Context: Verify Service "{mesh}/osm-injector"')
    assert lines[service + 2] == "Reason: There is none"
    same = await osm(cluster, "verify", "control-plane-health", "--mesh", mesh)
    assert same == result


async def test_the_page_is_on_a_port_of_this_machine_until_ctrl_c(
    cluster: ControlPlane, mesh: str
) -> None:
    process = await start_osm(cluster, "dashboard", "--mesh", mesh, "-p", "0", "--no-browser")
    assert process.stdout is not None
    page = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{page}api/v1/view")
    assert answer.status_code == 200
    assert answer.json()["mesh"]
    process.send_signal(2)
    assert await asyncio.wait_for(process.wait(), 20) == 0
