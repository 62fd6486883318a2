"""Checks of the cluster itself: its API, its version, what one may do there, its nodes."""

from osm.core.check.facts import Facts, Unseen
from osm.core.check.outcome import Check, Found, Group, failed, fine, skipped, warned
from osm.core.check.versions import is_older

OLDEST = (1, 23)
"""The oldest version that has all APIs of what `osm install` makes (autoscaling/v2)."""
NATIVE = (1, 29)
"""From here on sidecars are native."""
_ARCHITECTURES = frozenset({"amd64", "arm64"})
_SHOWN = 10


def _answers(facts: Facts) -> Found:
    if isinstance(facts.server, Unseen):
        return failed(facts.server.why)
    return fine(f"version {facts.server}")


def _new_enough(facts: Facts) -> Found:
    server = facts.server
    assert not isinstance(server, Unseen)
    if is_older(server, OLDEST):
        return failed(
            f"the API server is {server}; 1.{OLDEST[1]} is the oldest that has all it takes"
        )
    return fine()


def _native(facts: Facts) -> Found:
    server = facts.server
    assert not isinstance(server, Unseen)
    old = [f"the API server is {server}"] if is_older(server, NATIVE) else []
    nodes = facts.nodes if isinstance(facts.nodes, tuple) else ()
    old += [
        f"node {node.name} is {node.kubelet}" for node in nodes if is_older(node.kubelet, NATIVE)
    ]
    return warned(*old[:_SHOWN])


def _may_install(facts: Facts) -> Found:
    if isinstance(facts.permissions, Unseen):
        return skipped(facts.permissions.why)
    missing = [f"you may not {each}" for each in facts.permissions if not each.allowed]
    return failed(*missing)


def _has_nodes(facts: Facts) -> Found:
    if isinstance(facts.nodes, Unseen):
        return skipped(facts.nodes.why)
    able = [
        node
        for node in facts.nodes
        if node.ready and node.system == "linux" and node.architecture in _ARCHITECTURES
    ]
    if not facts.nodes:
        return warned("the cluster has no nodes: nothing can run on it yet")
    if not able:
        return failed(f"of {len(facts.nodes)} nodes none is ready, Linux, and amd64 or arm64")
    return fine(f"{len(able)} of {len(facts.nodes)} nodes")


def _nodes_fit(facts: Facts) -> Found:
    if isinstance(facts.nodes, Unseen):
        return skipped(facts.nodes.why)
    odd = []
    for node in facts.nodes:
        if node.system != "linux":
            odd.append(f"node {node.name} runs {node.system}")
        elif node.architecture not in _ARCHITECTURES:
            odd.append(f"node {node.name} is {node.architecture}")
        elif is_older(node.kernel, (4, 18)):
            odd.append(f"node {node.name} has kernel {node.kernel}; nftables needs 4.18")
    return warned(*odd[:_SHOWN])


API = Group(
    "kubernetes-api",
    (
        Check(
            "api-answers",
            "the Kubernetes API answers",
            "Is this the right cluster? Look at `kubectl config current-context`.",
            _answers,
            fatal=True,
        ),
    ),
)
VERSION = Group(
    "kubernetes-version",
    (
        Check(
            "version-new-enough",
            f"Kubernetes is 1.{OLDEST[1]} or newer",
            "Upgrade the cluster first.",
            _new_enough,
        ),
        Check(
            "version-native-sidecars",
            f"Kubernetes has native sidecars (1.{NATIVE[1]} or newer)",
            "The mesh works without them; Jobs then end only when their program tells the proxy.",
            _native,
        ),
    ),
)
PERMISSIONS = Group(
    "permissions",
    (
        Check(
            "may-install",
            "you may create and change all that the mesh is made of",
            "Let an administrator install, or give you these rights.",
            _may_install,
            after=False,
        ),
    ),
)
NODES = Group(
    "nodes",
    (
        Check(
            "nodes-usable",
            "there are nodes on which the mesh can run",
            "The control plane and its proxies need a ready Linux node, amd64 or arm64.",
            _has_nodes,
        ),
        Check(
            "nodes-all-fit",
            "pods can be in the mesh on every node",
            "Pods that land there run only without a proxy: sidecar-injection disabled.",
            _nodes_fit,
        ),
    ),
)
