"""What the programs of a node read: their configurations, and objects that every cluster has."""

import json
from pathlib import Path

import yaml

from .arguments import PODS
from .first_process import ADDRESS, NAME

DNS = "10.96.0.10"
DOMAIN = "cluster.local"
POD_RANGE = "10.88.0.0/24"
PAUSE = "osm.test/pause:1"
_OBJECTS = Path(__file__).parent / "node_objects.yaml"
_PLUGINS = "/usr/lib/cni"
_CONTAINERD = """\
version = 2
root = "{directory}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "/run/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE nobody may be spared more than we are.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def write_node_files(directory: Path, secrets: Path) -> None:
    """Write them into a node's directory."""
    text = _CONTAINERD.format(directory=directory, pause=PAUSE, plugins=_PLUGINS)
    (directory / "containerd.toml").write_text(text)
    (directory / "cni").mkdir()
    (directory / "cni" / "10-pods.conflist").write_text(json.dumps(_pod_network()))
    (directory / "resolv.conf").write_text("")
    (directory / "kubelet.yaml").write_text(json.dumps(_kubelet(directory, secrets)))
    (directory / "kube-proxy.yaml").write_text(json.dumps(_kube_proxy(secrets)))


def node_objects(coredns: Path) -> str:
    """Rights of the node's programs, and the DNS server: a program of the host, in a pod."""
    objects = [*yaml.safe_load_all(_OBJECTS.read_text())]
    for each in objects:
        if each["kind"] == "Deployment":
            volumes = each["spec"]["template"]["spec"]["volumes"]
            volumes.append({"name": "program", "hostPath": {"path": str(coredns), "type": "File"}})
        if each["kind"] == "Service":
            each["spec"]["clusterIP"] = DNS
    return yaml.safe_dump_all(objects)


def _pod_network() -> object:
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isDefaultGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/pod-addresses",
            "ranges": [[{"subnet": POD_RANGE}]],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}


def _kubelet(directory: Path, secrets: Path) -> object:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(secrets / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(secrets / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(secrets / "kubelet-server.key"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        # Neither raised limits nor lowered scores: that takes CAP_SYS_RESOURCE.
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "clusterDNS": [DNS],
        "clusterDomain": DOMAIN,
        "resolvConf": str(directory / "resolv.conf"),
        "podLogsDir": str(directory / "pods"),
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "maxPods": 200,
        "shutdownGracePeriod": "0s",
        "featureGates": {
            "ClusterTrustBundle": True,
            "ClusterTrustBundleProjection": True,
            "PodCertificateRequest": True,
        },
    }


def _kube_proxy(secrets: Path) -> object:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(secrets / "proxy.kubeconfig")},
        "hostnameOverride": NAME,
        "clusterCIDR": PODS,
        "mode": "nftables",
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nodePortAddresses": [f"{ADDRESS}/32"],
        # Outside of the machine's first network namespace the kernel lets nobody set these.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
