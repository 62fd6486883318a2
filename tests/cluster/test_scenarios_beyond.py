"""OSM's end-to-end scenarios: what leaves the mesh, what comes in, and what goes around proxies."""

import pytest

from osm.testing.builders import egress, http_group, ingress_backend

from .cast import CLOSED, ECHO, GREETING, HTTP, OPEN, Cast, configured, puppet, service, written
from .pods import apply, ready

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODES = (OPEN, CLOSED, {**CLOSED, "enablePermissiveTrafficPolicyMode": True}, OPEN)
NOWHERE = 404
"""What the caller's proxy answers where ports of Services speak HTTP; other connections are closed."""
RANGE = "outboundIPRangeExclusionList"
PORTS = "outboundPortExclusionList"


async def test_everything_leaves_while_mesh_config_says_so(scene: Cast) -> None:
    outside = scene.addresses["outside"]
    for mode in MODES:
        await scene.mesh.configure(**mode)
        if mode["enableEgress"]:
            await scene.answers("caller", outside, HTTP)
            await scene.echoes("caller", outside)
        else:
            await scene.is_closed("caller", outside)
            assert await scene.status("caller", outside, HTTP) == NOWHERE


async def test_http_leaves_by_host_and_by_path(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    here, host = scene.namespace, f"server.{scene.outer}"
    await apply(scene.node, written(service("server", app="outside")), scene.outer)
    await scene.answers("caller", host, 8080, status=NOWHERE)
    source = [f"{here}/caller"]
    await scene.put(egress("out", source, ["http:8080"], host, namespace=here))
    await scene.answers("caller", host, 8080, "/anything")
    assert await scene.status("other", host, 8080) == NOWHERE
    match = {"name": "status", "pathRegex": "/status.*", "methods": ["GET"]}
    await scene.put(
        http_group("status", match, namespace=here),
        egress("out", source, ["http:8080"], host, namespace=here, groups=["status"]),
    )
    await scene.answers("caller", host, 8080, "/anything", status=NOWHERE)
    assert await scene.status("caller", host, 8080, "/status/1") == 200
    await scene.drop()
    await scene.answers("caller", host, 8080, "/status/1", status=NOWHERE)


async def test_tcp_leaves_by_port(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    here, outside = scene.namespace, scene.addresses["outside"]
    await scene.is_closed("caller", outside)
    await scene.put(egress("out", [f"{here}/caller"], [f"tcp:{ECHO}"], namespace=here))
    await scene.echoes("caller", outside)
    assert await scene.talk("caller", outside, GREETING, data="") in ("closed", "refused")
    await scene.drop()
    await scene.is_closed("caller", outside)


async def test_a_client_beyond_the_mesh_comes_in_where_an_ingress_lets_it(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    host = f"v1.{scene.namespace}"
    backend = {"name": "v1", "port": {"number": HTTP, "protocol": "http"}}
    gateway = {"kind": "Service", "name": "gateway", "namespace": scene.outer}
    await apply(scene.node, written(service("gateway", app="outside")), scene.outer)
    assert await scene.status("outside", host) == 0
    await scene.put(ingress_backend("in", [backend], [gateway], namespace=scene.namespace))
    await scene.answers("outside", host, status=403)
    # The gateway's addresses are known once its namespace is in the mesh; it needs no proxies.
    await scene.mesh.osm("namespace", "add", scene.outer, "--disable-sidecar-injection")
    try:
        await scene.answers("outside", host)
        assert await scene.status("beyond", host) == 403, "it is not the gateway"
        await is_committed(scene)
        await scene.drop()
        await scene.answers("outside", host, status=0)
    finally:
        await scene.mesh.osm("namespace", "remove", scene.outer)


async def is_committed(scene: Cast) -> None:
    asked = ("get", "ingressbackend", "in", "-o", "jsonpath={.status.currentStatus}")

    async def says_so() -> bool:
        return await scene.node.kubectl("-n", scene.namespace, *asked) == "committed"

    await scene.until(says_so, "the status of the IngressBackend says so")


async def test_excluded_ports_and_ranges_go_around_the_proxy(scene: Cast) -> None:
    """Lists of MeshConfig and of a pod count for pods created from then on."""
    await scene.mesh.configure(**CLOSED)
    outside, beyond = scene.addresses["outside"], scene.addresses["beyond"]
    await configured(scene.mesh, {"traffic": {RANGE: [f"{beyond}/32"], PORTS: [ECHO]}})
    own = {"openservicemesh.io/outbound-port-exclusion-list": str(GREETING)}
    own_range = {"openservicemesh.io/outbound-ip-range-exclusion-list": f"{outside}/32"}
    try:
        await scene.put(puppet("ports", annotations=own), puppet("ranges", annotations=own_range))
        for name in ("ports", "ranges"):
            await ready(scene.node, scene.namespace, f"app={name}")
    finally:
        await scene.mesh.patch_config({"traffic": {RANGE: [], PORTS: []}})
    await scene.is_closed("caller", outside)
    await scene.is_closed("caller", beyond)
    await scene.answers("ports", beyond, HTTP)
    await scene.echoes("ports", outside, ECHO)
    assert (await scene.talk("ports", outside, GREETING, data="")).startswith("hello")
    assert await scene.status("ports", outside, HTTP) == NOWHERE
    await scene.answers("ranges", outside, HTTP)
