"""The cluster itself does what the tests of the mesh build on."""

import asyncio
import json
import signal
from typing import Any

import httpx2
import pytest
import yaml
from images.catalogue import CONTROLLER_USER, PROXY_USER, name
from tests.kubernetes.control_plane import free_ports
from tests.kubernetes.images import APPS
from tests.kubernetes.node import Node

from osm import __version__
from osm.core.inject.redirection import rules_of, ruleset
from osm.core.model.redirection import Redirection

from .load import load
from .pods import app, apply, logs, reachable, ready, run_in_pod, service_address, until_pods
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVE = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name)
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
RESTRICTED = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


async def web(node: Node, namespace: str, *, replicas: int = 1) -> list[str]:
    """Pods that answer with their names, which the Service leads to; returns these."""
    text = app("web", "python", "-c", SERVE, port=8080, replicas=replicas)
    await apply(node, text, namespace)
    made = await ready(node, namespace, "app=web", count=replicas)
    await reachable(node, namespace, "web", 8080)
    names = {pod["metadata"]["name"] for pod in made}
    url = f"http://{await service_address(node, namespace, 'web')}:8080/"
    seen: set[str] = set()

    async def all_answer() -> bool:
        seen.add(await node.run_in_network("curl", "-sf", url))
        return seen == names

    await eventually(all_answer, "all pods answer behind their Service")
    return sorted(names)


async def test_a_service_is_resolved_and_balances_over_its_pods(node: Node, namespace: str) -> None:
    names = await web(node, namespace, replicas=2)
    fetch = "for i in {1..30}; do curl -sf http://web:8080/; echo; done"
    answers = await run_in_pod(node, namespace, names[0], "bash", "-c", fetch)
    assert sorted(set(answers.split())) == names
    resolve = "import socket; print(socket.gethostbyname('web'))"
    address = await run_in_pod(node, namespace, names[0], "python", "-c", resolve)
    assert address.strip() == await service_address(node, namespace, "web")


async def test_pods_and_services_are_reached_from_the_nodes_network(
    node: Node, namespace: str
) -> None:
    (pod,) = await web(node, namespace)
    url = f"http://{await service_address(node, namespace, 'web')}:8080/"
    answer = await node.call_in_network(lambda: httpx2.get(url, trust_env=False))
    assert answer.text == pod
    assert await node.run_in_network("curl", "-sf", url) == pod


async def test_exec_logs_and_port_forward(node: Node, namespace: str) -> None:
    (pod,) = await web(node, namespace)
    assert await run_in_pod(node, namespace, pod, "bash", "-c", "echo $HOSTNAME") == f"{pod}\n"
    (port,) = free_ports(1)
    forward = await asyncio.create_subprocess_exec(
        *(str(node.programs / "kubectl"), f"--kubeconfig={node.kubeconfig}"),
        *(f"--namespace={namespace}", "port-forward", f"pod/{pod}", f"{port}:8080"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert forward.stdout is not None
    try:
        assert b"Forwarding" in await asyncio.wait_for(forward.stdout.readline(), 30)
        async with httpx2.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/forwarded")).text == pod
    finally:
        forward.terminate()
        await forward.wait()
    assert "/forwarded" in await logs(node, namespace, pod)


async def test_a_job_with_a_native_sidecar_completes(node: Node, namespace: str) -> None:
    serve = ["python", "-c", SERVE]
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    sidecar = {"name": "side", "image": APPS, "command": serve, "restartPolicy": "Always"}
    main = {"name": "main", "image": APPS, "command": ["curl", "-sf", "http://127.0.0.1:8080/"]}
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,
        "initContainers": [{**sidecar, "startupProbe": probe}],
        "containers": [main],
    }
    await apply(node, document("batch/v1", "Job", "once", {"template": {"spec": spec}}), namespace)
    done = ("wait", "--for=condition=Complete", "job/once", "--timeout=55s")
    await node.kubectl("--namespace", namespace, *done)
    assert "once-" in await logs(node, namespace, "job/once", container="main")


async def test_our_init_image_redirects_the_traffic_of_a_pod(node: Node, namespace: str) -> None:
    await web(node, namespace)
    rules = ruleset(rules_of(Redirection(), at_pod_ip=False))
    capabilities = {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    init = {
        "name": "osm-init",
        "image": name("osm-init"),
        "command": ["nft", rules],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "securityContext": {
            "runAsUser": 0,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": capabilities,
        },
    }
    idle = app("idle", "sleep", "3600", initContainers=[init])
    await apply(node, idle, namespace)
    await ready(node, namespace, "app=idle")
    # Nobody listens where Envoy would: what goes out is led there, and refused at once.
    with pytest.raises(RuntimeError, match="exit code 7"):
        await run_in_pod(
            node, namespace, "deployment/idle", "curl", "-sf", "-m", "10", "http://web:8080/"
        )


async def test_our_envoy_image_serves(node: Node, namespace: str) -> None:
    admin = {"admin": {"address": {"socket_address": {"address": "0.0.0.0", "port_value": 15000}}}}
    container = {
        "name": "envoy",
        "image": name("osm-envoy"),
        "args": ["--config-yaml", json.dumps(admin), "--log-level", "warning"],
        "securityContext": RESTRICTED,
        "lifecycle": {"postStart": {"exec": {"command": ["bash", "-c", "sleep 0.1"]}}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 15000}, "periodSeconds": 1},
    }
    await apply(node, pod_of("proxy", container), namespace)
    (pod,) = await ready(node, namespace, "app=proxy")
    url = f"http://{pod['status']['podIP']}:15000/server_info"
    answer = await node.call_in_network(lambda: httpx2.get(url, trust_env=False))
    assert answer.json()["command_line_options"]["log_level"] == "warning"
    ids = await run_in_pod(node, namespace, "proxy", "bash", "-c", "echo $UID $(type -P envoy)")
    assert ids.split() == [str(PROXY_USER), "/usr/local/bin/envoy"]


async def test_our_controller_image_runs_under_restricted_pod_security(
    node: Node, namespace: str
) -> None:
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    await node.kubectl("label", "namespace", namespace, restricted)
    container = {
        "name": "osm",
        "image": name("osm-controller"),
        "args": ["version"],
        "securityContext": RESTRICTED,
    }
    await apply(node, pod_of("command", container), namespace)
    (pod,) = await until_pods(node, namespace, "app=command", has_ended)
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert state["exitCode"] == 0
    first, *_ = (await logs(node, namespace, "command")).splitlines()
    assert first == f"osm {__version__}"
    # Refused, were the image's user not a number, or root.
    users = "import os, sys; sys.exit(os.getuid() != int(sys.argv[1]))"
    who = {**container, "command": ["python", "-c", users, str(CONTROLLER_USER)]}
    await apply(node, pod_of("who", who), namespace)
    (pod,) = await until_pods(node, namespace, "app=who", has_ended)
    assert pod["status"]["phase"] == "Succeeded"


async def test_load_runs_on_while_the_api_server_is_away(node: Node, namespace: str) -> None:
    await web(node, namespace)
    async with load(node, namespace, "http://web:8080/", rate=20) as requests:
        before = await requests.counts()
        await node.stop("kube-apiserver", signal.SIGKILL)
        await asyncio.sleep(5)
        await node.start("kube-apiserver")
        after = await requests.counts()
        assert after.ok - before.ok >= 5 * 20 * 0.9
        assert not after.failed, await requests.failures()
        # Nobody answers any more: that is counted too.
        await node.kubectl("--namespace", namespace, "delete", "deployment", "web")

        async def has_failed() -> bool:
            return bool((await requests.counts()).failed)

        await eventually(has_failed, "requests fail", within=90)


def pod_of(pod: str, container: dict[str, Any]) -> str:
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 2, "containers": [container]}
    return document("v1", "Pod", pod, spec)


def document(version: str, kind: str, called: str, spec: object) -> str:
    metadata = {"name": called, "labels": {"app": called}}
    return yaml.safe_dump({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})


def has_ended(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase") in {"Succeeded", "Failed"}
