"""A real API server takes our CustomResourceDefinitions, and objects as people have them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.cli.verbs.crds import command

from .watching import watching

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEMO = Path(__file__).parents[2] / "src" / "osm" / "demo" / "manifests"
KINDS = (
    "egresses",
    "ingressbackends",
    "retries",
    "telemetries",
    "upstreamtrafficsettings",
    "meshconfigs",
    "extensionservices",
    "meshrootcertificates",
    "traffictargets",
    "httproutegroups",
    "tcproutes",
    "trafficsplits",
)


async def define(cluster: ControlPlane) -> None:
    printed = CliRunner().invoke(command)
    assert printed.exit_code == 0, printed.output
    await cluster.kubectl("apply", "--server-side", "-f", "-", text=printed.output)
    names = [
        f"crd/{line.partition(' ')[0]}"
        for line in (await cluster.kubectl("get", "crd", "--no-headers")).splitlines()
    ]
    await cluster.kubectl("wait", "--for=condition=Established", *names)


async def test_every_kind_is_served_and_the_schemas_have_no_fault(cluster: ControlPlane) -> None:
    await define(cluster)
    for plural in KINDS:
        assert "No resources found" not in await cluster.kubectl("explain", plural)
    shown = await cluster.kubectl("get", "crd", "-o", "json")
    conditions = [
        (item["metadata"]["name"], condition["message"])
        for item in json.loads(shown)["items"]
        for condition in item["status"]["conditions"]
        if condition["type"] == "NonStructuralSchema"
    ]
    assert conditions == []


async def test_the_bookstores_objects_are_taken_and_read_back_the_same(
    cluster: ControlPlane,
) -> None:
    await define(cluster)
    for folder in ("apps/namespaces.yaml", "apps", "mesh/mesh-config.yaml", "access", "split"):
        path = DEMO / folder
        if folder.startswith("mesh"):
            await cluster.kubectl("create", "namespace", "osm-system")
        await cluster.kubectl("apply", "-f", str(path))
    async with watching(cluster.kubeconfig, KINDS) as copy:
        await eventually(lambda: copy.changes > 0, "all objects", within=30)
        kinds = {key.kind for key in copy.objects}
        assert {
            "TrafficTarget",
            "HTTPRouteGroup",
            "TCPRoute",
            "TrafficSplit",
            "MeshConfig",
        } <= kinds
        assert copy.findings == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(
            """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: bad}
spec:
  sources: [{kind: ServiceAccount, name: a, namespace: b}]
  hosts: [example.com]
  ports: [{number: 70000, protocol: http}]
""",
            "spec.ports[0].number",
            id="a port above 65535",
        ),
        pytest.param(
            """
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: bad}
spec:
  sources: [{kind: ServiceAccount, name: b, namespace: default}]
  rules: [{kind: HTTPRouteGroup, name: r}]
""",
            "spec.destination",
            id="access to nobody",
        ),
    ],
)
async def test_what_the_schema_forbids_is_refused(
    cluster: ControlPlane, namespace: str, text: str, complaint: str
) -> None:
    await define(cluster)
    with pytest.raises(RuntimeError) as refused:
        await cluster.kubectl("apply", "-n", namespace, "-f", "-", text=text)
    assert complaint in str(refused.value)


async def test_defaults_are_filled_in(cluster: ControlPlane, namespace: str) -> None:
    await define(cluster)
    config = """
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config}
spec: {traffic: {enableEgress: true}, sidecar: {}}
"""
    await cluster.kubectl("apply", "-n", namespace, "-f", "-", text=config)
    shown = await cluster.kubectl(
        "get", "meshconfig", "osm-mesh-config", "-n", namespace, "-o", "json"
    )
    assert json.loads(shown)["spec"]["sidecar"]["tlsMaxProtocolVersion"] == "TLSv1_3"
