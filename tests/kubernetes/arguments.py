"""How each program of a control plane is told what it is to do."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

LOOPBACK = "127.0.0.1"
SERVICES = "10.96.0.0/16"
PODS = "10.88.0.0/16"
ISSUER = "https://kubernetes.default.svc.cluster.local"
GATES = ",".join(
    f"{gate}=true"
    for gate in (
        "ClusterTrustBundle",
        "ClusterTrustBundleProjection",
        "PodCertificateRequest",
        "MutatingAdmissionPolicy",
    )
)
APIS = ",".join(
    f"{api}=true"
    for api in (
        "certificates.k8s.io/v1beta1/clustertrustbundles",
        "certificates.k8s.io/v1beta1/podcertificaterequests",
        "admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies",
        "admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicybindings",
    )
)


class Place(msgspec.Struct, frozen=True):
    """Where a control plane runs: on loopback alone, or for the pods of a node as well.

    `prefix` precedes each command; `address` is where kubelets and pods find the API server.
    """

    prefix: Sequence[str] = ()
    address: str = ""


class Ports(msgspec.Struct, frozen=True):
    """Of each program, on loopback."""

    etcd: int
    peer: int
    api: int
    manager: int
    scheduler: int


def etcd_arguments(ports: Ports, data: Path) -> Sequence[str]:
    own, peer = f"http://{LOOPBACK}:{ports.etcd}", f"http://{LOOPBACK}:{ports.peer}"
    return (
        "--name=test",
        f"--data-dir={data}",
        f"--listen-client-urls={own}",
        f"--advertise-client-urls={own}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=test={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def api_arguments(ports: Ports, secrets: Path, place: Place) -> Sequence[str]:
    return (
        f"--etcd-servers=http://{LOOPBACK}:{ports.etcd}",
        f"--secure-port={ports.api}",
        "--allow-privileged=true",
        f"--client-ca-file={secrets / 'ca.crt'}",
        f"--tls-cert-file={secrets / 'api.crt'}",
        f"--tls-private-key-file={secrets / 'api.key'}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={secrets / 'accounts.pub'}",
        f"--service-account-signing-key-file={secrets / 'accounts.key'}",
        f"--requestheader-client-ca-file={secrets / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={secrets / 'front-proxy.crt'}",
        f"--proxy-client-key-file={secrets / 'front-proxy.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={SERVICES}",
        f"--feature-gates={GATES}",
        f"--runtime-config={APIS}",
        "--shutdown-delay-duration=0s",
        "--profiling=false",
        *(_for_node(secrets, place.address) if place.address else _ALONE),
    )


_ALONE = (
    f"--bind-address={LOOPBACK}",
    f"--advertise-address={LOOPBACK}",
    # An address on loopback is no valid endpoint of the Service `kubernetes`.
    "--endpoint-reconciler-type=none",
)


def _for_node(secrets: Path, address: str) -> Sequence[str]:
    return (
        "--bind-address=0.0.0.0",
        f"--advertise-address={address}",
        f"--kubelet-client-certificate={secrets / 'kubelet-client.crt'}",
        f"--kubelet-client-key={secrets / 'kubelet-client.key'}",
        f"--kubelet-certificate-authority={secrets / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
    )


def manager_arguments(ports: Ports, secrets: Path) -> Sequence[str]:
    return (
        *_client_arguments(secrets / "manager.kubeconfig", ports.manager),
        f"--root-ca-file={secrets / 'ca.crt'}",
        f"--service-account-private-key-file={secrets / 'accounts.key'}",
        "--use-service-account-credentials=true",
        f"--cluster-signing-cert-file={secrets / 'ca.crt'}",
        f"--cluster-signing-key-file={secrets / 'ca.key'}",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={PODS}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--feature-gates={GATES}",
    )


def scheduler_arguments(ports: Ports, secrets: Path) -> Sequence[str]:
    return _client_arguments(secrets / "scheduler.kubeconfig", ports.scheduler)


def _client_arguments(config: Path, port: int) -> Sequence[str]:
    return (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        "--leader-elect=false",
        # Without it the many controllers wait five seconds for each other at every start.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    )
