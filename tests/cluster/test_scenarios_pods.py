"""OSM's end-to-end scenarios: what pods become when they are created, and whether they start."""

import json
from typing import Any

import pytest
from tests.kubernetes.images import APPS
from tests.kubernetes.node import Node

from osm.testing.builders import target, tcp_route

from .cast import (
    CLOSED,
    ECHO,
    HTTP,
    OPEN,
    PUPPET,
    Document,
    account,
    configured,
    puppet,
    run_puppet,
    service,
    written,
)
from .mesh import Mesh
from .pods import apply, pods, ready
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVE_TLS = """
import datetime, http.server, ssl
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
now = datetime.datetime.now(datetime.UTC)
builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(1))
pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
open("/tmp/pair.pem", "wb").write(key.private_bytes(serialization.Encoding.PEM, *form) + pem)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/pair.pem")
server = http.server.HTTPServer(("", 8443), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
SECURE = 8443
OFTEN = {"periodSeconds": 1}
BY_HTTP = {"httpGet": {"path": "/", "port": HTTP}, **OFTEN}
BY_HTTPS = {"httpGet": {"path": "/", "port": SECURE, "scheme": "HTTPS"}, **OFTEN}
BY_TCP = {"tcpSocket": {"port": ECHO}, **OFTEN}
NOWHERE = {"tcpSocket": {"port": 9999}, **OFTEN}


def pod(name: str, *, tls: Document | None = None, **probes: object) -> Document:
    """A pod of its own: a puppet with these probes, and a server of HTTPS with those if there are any."""
    containers = [{"name": "app", "image": APPS, "command": PUPPET, **probes}]
    if tls is not None:
        serve = ["python", "-c", SERVE_TLS]
        containers.append({"name": "tls", "image": APPS, "command": serve, **tls})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 2, "containers": containers},
    }


def proxies(pod: dict[str, Any]) -> list[dict[str, Any]]:
    spec = pod["spec"]
    everyone = (*spec.get("initContainers", ()), *spec["containers"])
    return [each for each in everyone if each["name"] == "envoy"]


async def test_probes_of_every_kind_make_pods_ready_and_a_wrong_port_never(
    node: Node, mesh: Mesh, meshed: str
) -> None:
    pods_with_probes = (
        pod("web", readinessProbe=BY_HTTP, tls={"readinessProbe": BY_HTTPS}),
        pod("echo", readinessProbe=BY_TCP),
        pod("mixed", startupProbe=BY_TCP, readinessProbe=BY_HTTPS, livenessProbe=BY_HTTP, tls={}),
        pod("wrong", readinessProbe=NOWHERE),
    )
    await mesh.configure(**CLOSED)
    try:
        await apply(node, written(*pods_with_probes), meshed)
        for name in ("web", "echo", "mixed"):
            await ready(node, meshed, f"app={name}")
        await eventually(lambda: is_unhealthy(node, meshed, "wrong"), "its probe fails")
        (wrong,) = await pods(node, meshed, "app=wrong")
        (status,) = wrong["status"]["containerStatuses"]
        assert "running" in status["state"] and not status["ready"]
    finally:
        await mesh.configure(**OPEN)


async def is_unhealthy(node: Node, namespace: str, name: str) -> bool:
    """Whether the kubelet says that a probe of the application failed."""
    chosen = f"--field-selector=reason=Unhealthy,involvedObject.name={name}"
    text = await node.kubectl("-n", namespace, "get", "events", chosen, "-o", "json")
    fields = [event["involvedObject"].get("fieldPath") for event in json.loads(text)["items"]]
    return "spec.containers{app}" in fields


async def test_resources_of_proxies_are_mesh_configs(node: Node, mesh: Mesh, meshed: str) -> None:
    default: Document = {}
    await apply(node, written(pod("before")), meshed)
    some = {"cpu": "100m", "memory": "128M"}
    changed = {"limits": {"cpu": "1", "memory": "256M"}, "requests": some}
    await configured(mesh, {"sidecar": {"resources": changed}})
    try:
        await apply(node, written(pod("after")), meshed)
    finally:
        await mesh.patch_config({"sidecar": {"resources": None}})
    for name, expected in (("before", default), ("after", changed)):
        (found,) = await ready(node, meshed, f"app={name}")
        (proxy,) = proxies(found)
        assert proxy["resources"] == expected, name
    # What OSM kept in a Secret for each pod, its bootstrap, is in the pod itself.
    assert await node.kubectl("-n", meshed, "get", "secrets", "-o", "name") == ""


async def test_ignored_namespaces_get_no_proxies(node: Node, mesh: Mesh, namespace: str) -> None:
    await mesh.join(namespace)
    await mesh.osm("namespace", "ignore", namespace)
    await apply(node, written(pod("alone")), namespace)
    (found,) = await ready(node, namespace, "app=alone")
    assert proxies(found) == []


async def test_pods_of_a_stateful_set_talk_to_each_other(
    node: Node, mesh: Mesh, meshed: str
) -> None:
    """As ZooKeeper does: by their own names, over TCP, by a TCPRoute. One more listens at its pod's
    address alone, which needs the mode for it.
    """
    await mesh.configure(**CLOSED)
    await configured(mesh, {"sidecar": {"localProxyMode": "PodIP"}})
    try:
        await apply(node, written(*stateful_set(meshed)), meshed)
        found = await ready(node, meshed, "app=db", count=3)
        for one in found:
            await hears_the_others(node, meshed, one)
    finally:
        await mesh.patch_config({"sidecar": {"localProxyMode": "Localhost"}})
        await mesh.configure(**OPEN)


async def hears_the_others(node: Node, namespace: str, one: dict[str, Any]) -> None:
    names = [f"db-{number}" for number in range(3)]
    program = f"result = [talk(f'{{name}}.db', {ECHO}, 'who')[1] for name in {names}]"
    address = one["status"]["podIP"]
    heard: list[str] = []

    async def all_of_them() -> bool:
        pod = f"pod/{one['metadata']['name']}"
        heard[:] = await run_puppet(node, namespace, pod, program, address=address)
        return heard == names

    await eventually(all_of_them, f"{one['metadata']['name']} hears all", within=20)


def stateful_set(namespace: str) -> tuple[Document, ...]:
    """Three puppets that listen at their pods' addresses alone, a headless Service, and access."""
    ports = [{"name": "tcp", "port": ECHO, "appProtocol": "tcp"}]
    whole = puppet("db", serviceAccountName="db")
    template = whole["spec"]["template"]
    (container,) = template["spec"]["containers"]
    container["env"] = [
        {"name": "BIND_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    ]
    more = {"serviceName": "db", "replicas": 3, "podManagementPolicy": "Parallel"}
    headless = {"clusterIP": "None", "selector": {"app": "db"}, "ports": ports}
    return (
        account("db"),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": headless},
        {**whole, "kind": "StatefulSet", "spec": {**whole["spec"], **more}},
        tcp_route("echo", ECHO, namespace=namespace),
        target("db", "db", ["db"], "TCPRoute/echo", namespace=namespace),
    )


async def test_a_copy_of_a_pod_has_a_proxy_with_its_own_name(
    node: Node, mesh: Mesh, meshed: str
) -> None:
    first = pod("first", readinessProbe=BY_HTTP)
    await apply(node, written(first, service("first", app="first")), meshed)
    await ready(node, meshed, "app=first")
    debug = ("debug", "pod/first", "--copy-to=second", f"--set-image=app={APPS}")
    await node.kubectl("-n", meshed, *debug, "--profile=general")

    await node.kubectl("-n", meshed, "wait", "pod/second", "--for=condition=Ready", "--timeout=60s")

    async def is_there() -> bool:
        listed = await mesh.osm("proxy", "list", "-n", meshed)
        return "second" in listed and listed.count("InSync") == 2

    await eventually(is_there, "both proxies are in sync")
    program = "result = json.loads(ask('first', 80)[2])['caller']"
    caller = await run_puppet(node, meshed, "pod/second", program)
    assert f"URI=spiffe://cluster.local/ns/{meshed}/sa/default" in caller
