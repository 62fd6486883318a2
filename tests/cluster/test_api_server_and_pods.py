"""How the API server and pods reach each other: what webhooks and a control plane in a pod build on."""

import base64
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from tests.kubernetes.certificates import Authority
from tests.kubernetes.fault_proxy import Fault, fault_proxy
from tests.kubernetes.node import Node

from .pods import app, apply, reachable, ready, run_in_pod
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

DENY = """
import http.server, json, ssl
class Deny(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        uid = review["request"]["uid"]
        status = {"message": "a pod said no"}
        response = {"uid": uid, "allowed": False, "status": status}
        body = json.dumps({**review, "request": None, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("", 8443), Deny)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/certificates/tls.crt", "/certificates/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


async def test_a_webhook_is_a_pod_behind_a_service(
    node: Node, namespace: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "ca")
    authority.issue("tls", "webhook", hosts=(f"deny.{namespace}.svc",))
    files = [f"--from-file={tmp_path / file}" for file in ("tls.crt", "tls.key")]
    await node.kubectl("--namespace", namespace, "create", "configmap", "tls", *files)
    volume = {"name": "certificates", "configMap": {"name": "tls"}}
    deny = [*yaml.safe_load_all(app("deny", "python", "-c", DENY, port=8443, volumes=[volume]))]
    (container,) = deny[0]["spec"]["template"]["spec"]["containers"]
    container["volumeMounts"] = [{"name": "certificates", "mountPath": "/certificates"}]
    await apply(node, yaml.safe_dump_all(deny), namespace)
    await ready(node, namespace, "app=deny")
    await reachable(node, namespace, "deny", 8443)
    service = {"namespace": namespace, "name": "deny", "port": 8443}
    webhook = {
        "name": "deny.test.example",
        "clientConfig": {
            "service": service,
            "caBundle": base64.b64encode(authority.pem).decode(),
        },
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["secrets"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [webhook],
    }
    await apply(node, yaml.safe_dump(configuration))

    said: list[str] = []

    async def is_asked() -> bool:
        try:
            create = ("create", "secret", "generic", "none", "--dry-run=server")
            await node.kubectl("--namespace", namespace, *create)
        except RuntimeError as error:
            said.append(str(error))
            return True
        return False

    try:
        await eventually(is_asked, "the API server asks the pod")
    finally:
        await node.kubectl("delete", "validatingwebhookconfiguration", namespace)
    assert "a pod said no" in said[0]


async def test_pods_call_the_api_server_and_a_fault_proxy_can_stand_between(
    node: Node, namespace: str
) -> None:
    await apply(node, app("caller", "sleep", "3600"), namespace)
    await ready(node, namespace, "app=caller")
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    header = f'Authorization: Bearer $(< "{account}/token")'
    fetch = f'curl -s --cacert {account}/ca.crt -H "{header}" -w "%{{http_code}}" -o /dev/null '

    async def status(host: str) -> str:
        line = f"{fetch} https://{host}/version"
        return await run_in_pod(node, namespace, "deployment/caller", "bash", "-c", line)

    assert await status("kubernetes.default.svc") == "200"
    async with fault_proxy(node, await node.listen()) as proxy:
        host = proxy.address
        assert ip_address(host.split(":")[0]).is_private
        assert await status(host) == "200"
        proxy.choose = lambda _: Fault(status=503)
        assert await status(host) == "503"
    assert [asked.path for asked in proxy.asked] == ["/version", "/version"]
