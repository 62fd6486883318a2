"""Pods without a node, and tokens that are theirs, or seem to be."""

import base64
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from tests.kubernetes.arguments import ISSUER
from tests.kubernetes.control_plane import ControlPlane

from osm.core.model.identity import token_audience

Key = ec.EllipticCurvePrivateKey
AUDIENCE = token_audience("osm")


class Pods:
    """Makes pods and tokens in a namespace."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self._cluster = cluster
        self.namespace = namespace

    async def add(self, name: str, account: str) -> dict[str, str]:
        """Make a pod with a service account of its own; gives the UIDs of both."""
        await self._run("create", "serviceaccount", account)
        return await self.add_pod(name, account)

    async def add_pod(self, name: str, account: str) -> dict[str, str]:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "serviceAccountName": account,
                "containers": [{"name": "app", "image": "app"}],
            },
        }
        await self._run("create", "-f", "-", text=json.dumps(pod))
        output = "jsonpath={.metadata.uid}"
        return {
            "pod": await self._run("get", "pod", name, "-o", output),
            "account": await self._run("get", "serviceaccount", account, "-o", output),
        }

    async def _run(self, *arguments: str, text: str = "") -> str:
        return await self._cluster.kubectl(*arguments, "-n", self.namespace, text=text)

    async def remove(self, name: str) -> None:
        await self._run("delete", "pod", name, "--now", "--wait=true")

    async def token(self, account: str, *, pod: str = "", audience: str = AUDIENCE) -> str:
        """What the kubelet would ask for on behalf of a projected volume."""
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}") if pod else ()
        named = (f"--audience={audience}",) if audience else ()
        return (await self._run("create", "token", account, *named, *bound)).strip()

    def signed(
        self,
        account: str,
        pod: str,
        uids: dict[str, str],
        *,
        by: Key | None = None,
        **claims: object,
    ) -> str:
        """A token with claims of the test's, signed with the cluster's own key or another."""
        file = self._cluster.directory / "certificates" / "accounts.key"
        key = by or serialization.load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, Key)
        now = int(time.time())
        said = {
            "aud": [AUDIENCE],
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{self.namespace}:{account}",
            "iat": now - 7200,
            "nbf": now - 7200,
            "exp": now + 3600,
            "kubernetes.io": {
                "namespace": self.namespace,
                "serviceaccount": {"name": account, "uid": uids["account"]},
                "pod": {"name": pod, "uid": uids["pod"]},
            },
        }
        text = f"{_part({'alg': 'ES256', 'typ': 'JWT'})}.{_part(said | claims)}"
        r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _part(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
