"""OSM's documented demo of an ingress gateway, Contour: its proxy is an Envoy, and so is this one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.mesh.harness import MeshUnderTest, local_mesh
from tests.mesh.intruder import identity, open_tresor

from .clients import apply, manifest
from .gateway import call, gateway, verifying

FORWARDED = 28437
"""The port of this machine that leads to httpbin's proxy."""
LABELS = """
      labels:
        app: httpbin
        version: v1
"""
ANNOTATED = f"""
      annotations:
        local.openservicemesh.io/ingress: "{FORWARDED}:14001"{LABELS}"""
CONFIG = """
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config, namespace: osm-system}
spec: {sidecar: {tlsMaxProtocolVersion: TLSv1_3}}
"""
"""Says nothing of the lowest version: an Envoy that calls offers TLS 1.2, unless it is told to."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(manifest("httpbin").replace(LABELS, ANNOTATED))
    (directory / "config.yaml").write_text(CONFIG)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(2)
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


PLAIN = """
    apiVersion: policy.openservicemesh.io/v1alpha1
    kind: IngressBackend
    metadata:
      name: httpbin
      namespace: httpbin
    spec:
      backends:
        - name: httpbin
          port:
            number: 14001
            protocol: http
      sources:
        - kind: IPRange
          name: 127.0.0.1/32
    """


def with_tls(principal: str, *, skip: str = "false") -> str:
    return f"""
        apiVersion: policy.openservicemesh.io/v1alpha1
        kind: IngressBackend
        metadata:
          name: httpbin
          namespace: httpbin
        spec:
          backends:
            - name: httpbin
              port:
                number: 14001
                protocol: https
              tls:
                skipClientCertValidation: {skip}
          sources:
            - kind: IPRange
              name: 127.0.0.1/32
            - kind: AuthenticatedPrincipal
              name: {principal}
        """


async def test_a_gateway_calls_by_plain_http(mesh: MeshUnderTest, tmp_path: Path) -> None:
    async with gateway(tmp_path, FORWARDED, None) as edge:
        assert await call(edge) == 503, "nothing is taken without an IngressBackend"
        await apply(mesh, "ingress.yaml", PLAIN)
        assert await call(edge) == 200
        await apply(mesh, "ingress.yaml")


async def test_a_gateway_calls_by_mutual_tls(mesh: MeshUnderTest, tmp_path: Path) -> None:
    tresor = open_tresor(mesh.state)
    pair = await tresor.issue(identity("osm-system/osm-contour-envoy"))
    trusted = "osm-contour-envoy.osm-system.cluster.local"
    untrusted = "untrusted-client.cluster.local"
    tls = verifying(tresor.trust_bundle, pair, "httpbin.httpbin.cluster.local")
    async with gateway(tmp_path, FORWARDED, tls) as edge:
        assert await call(edge) == 503
        await apply(mesh, "ingress.yaml", with_tls(trusted))
        assert await call(edge) == 200
        await apply(mesh, "ingress.yaml", with_tls(untrusted))
        assert await call(edge) == 403
        await apply(mesh, "ingress.yaml", with_tls(untrusted, skip="true"))
        assert await call(edge) == 200


async def test_a_gateway_believes_no_other_name(mesh: MeshUnderTest, tmp_path: Path) -> None:
    tresor = open_tresor(mesh.state)
    pair = await tresor.issue(identity("osm-system/osm-contour-envoy"))
    tls = verifying(tresor.trust_bundle, pair, "other.httpbin.cluster.local")
    async with gateway(tmp_path, FORWARDED, tls) as edge:
        assert await call(edge) == 503
