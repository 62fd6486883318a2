"""What the control plane may do, and for what: each rule names who needs it."""

from collections.abc import Iterable, Sequence

from osm.core.api.crd import defined_kinds
from osm.core.install.labels import LABELS
from osm.core.install.names import PROXY_FILES
from osm.core.install.template import MESH, NAMESPACE, Expression, Node, Template, Text, Value

FOLLOW = ("list", "watch")
KEEP = ("list", "watch", "patch", "create")
"""By name. A `create` that comes as server-side apply has a name, one that comes as POST has none."""
LEASE = Text(("osm-controller-", MESH))
REFUSALS = Text(("osm-controller-", MESH, "-refusals"))
MUTATING_WEBHOOK = Text(("osm-webhook-", MESH))
VALIDATING_WEBHOOK = Text(("osm-validator-mesh-", MESH))
_CLUSTER_NAME = MESH
"""Of the ClusterRole: OSM's. Two meshes of a cluster have different names."""


def _rule(
    group: str,
    resources: Iterable[str],
    verbs: Sequence[str],
    names: Sequence[str | Expression] = (),
) -> dict[str, Node]:
    rule: dict[str, Node] = {
        "apiGroups": [group],
        "resources": list(resources),
        "verbs": list(verbs),
    }
    return rule | ({"resourceNames": list(names)} if names else {})


def _of_our_kinds() -> Iterable[dict[str, Node]]:
    """`osm.kubernetes.source` follows them, and `osm.kubernetes.status` writes their conditions."""
    for group in dict.fromkeys(kind.group for kind in defined_kinds()):
        plurals = [kind.plural for kind in defined_kinds() if kind.group == group]
        yield _rule(group, plurals, ("get", *FOLLOW))
        yield _rule(group, [f"{plural}/status" for plural in plurals], ("patch",))


CLUSTER_RULES: tuple[dict[str, Node], ...] = (
    # osm.kubernetes.source: what a mesh is made of.
    _rule("", ("namespaces", "pods", "serviceaccounts", "services"), FOLLOW),
    # osm.runtime.admission: the namespace of a pod that is to be created.
    _rule("", ("namespaces",), ("get",)),
    # osm.kubernetes.versions: whether all nodes have native sidecars.
    _rule("", ("nodes",), ("list",)),
    *_of_our_kinds(),
    # osm.kubernetes.token_review: whose a proxy's token is.
    _rule("authentication.k8s.io", ("tokenreviews",), ("create",)),
    # osm.kubernetes.proxy_files: what all proxies of a namespace read.
    _rule("", ("configmaps",), (*KEEP, "delete"), (PROXY_FILES,)),
    # osm.kubernetes.events: what people must see.
    _rule("", ("events",), ("create", "patch")),
    # osm.kubernetes.guard: the certificates of webhooks, and what somebody changed or deleted.
    _rule(
        "admissionregistration.k8s.io",
        ("mutatingwebhookconfigurations",),
        KEEP,
        (MUTATING_WEBHOOK,),
    ),
    _rule(
        "admissionregistration.k8s.io",
        ("validatingwebhookconfigurations",),
        KEEP,
        (VALIDATING_WEBHOOK,),
    ),
    _rule(
        "apiextensions.k8s.io",
        ("customresourcedefinitions",),
        KEEP,
        tuple(f"{kind.plural}.{kind.group}" for kind in defined_kinds()),
    ),
)
"""In the whole cluster. No Secrets, no exec, no port-forward, and nothing that changes what people wrote."""

NAMESPACE_RULES: tuple[dict[str, Node], ...] = (
    # osm.kubernetes.root_secret: the mesh's root certificate. It is created by POST, which has no name.
    _rule("", ("secrets",), ("create",)),
    _rule("", ("secrets",), ("get",), (Value("osm.caBundleSecretName"),)),
    # osm.kubernetes.lease: which replica writes. Likewise.
    _rule("coordination.k8s.io", ("leases",), ("create",)),
    _rule("coordination.k8s.io", ("leases",), ("get", "update"), (LEASE,)),
    # osm.kubernetes.refusals: what replicas tell the one that writes.
    _rule("", ("configmaps",), ("get", "patch", "create"), (REFUSALS,)),
)
"""In the namespace of the control plane."""


def _binding(kind: str, role: str, metadata: dict[str, Node]) -> dict[str, Node]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": _CLUSTER_NAME},
        "subjects": [{"kind": "ServiceAccount", "name": MESH, "namespace": NAMESPACE}],
    }


def _role(
    kind: str, rules: Sequence[dict[str, Node]], metadata: dict[str, Node]
) -> dict[str, Node]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "rules": list(rules),
    }


_EVERYWHERE: dict[str, Node] = {"name": _CLUSTER_NAME, "labels": LABELS}
_HERE: dict[str, Node] = {"name": MESH, "namespace": NAMESPACE, "labels": LABELS}

RBAC: tuple[Template, ...] = (
    Template("service-account", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _HERE}),
    Template("cluster-role", _role("ClusterRole", CLUSTER_RULES, _EVERYWHERE)),
    Template("cluster-role-binding", _binding("ClusterRoleBinding", "ClusterRole", _EVERYWHERE)),
    Template("role", _role("Role", NAMESPACE_RULES, _HERE)),
    Template("role-binding", _binding("RoleBinding", "Role", _HERE)),
)
