"""What the control plane may do: each right has somebody who needs it, and there are no others."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.install.installed import one

from osm.core.api.crd import defined_kinds

SOURCES = Path(__file__).parents[3] / "src"
Right = tuple[str, str, str]
"""Group, resource, and name, or `*` for all."""

_HOOKS = "admissionregistration.k8s.io"
_CRDS = "apiextensions.k8s.io"
EVERYWHERE: Mapping[Right, Mapping[str, str]] = {
    ("", "namespaces", "*"): {
        "list": "kubernetes/source",
        "watch": "kubernetes/source",
        "get": "runtime/admission",
    },
    ("", "pods", "*"): {"list": "kubernetes/source", "watch": "kubernetes/source"},
    ("", "services", "*"): {"list": "kubernetes/source", "watch": "kubernetes/source"},
    ("", "serviceaccounts", "*"): {"list": "kubernetes/source", "watch": "kubernetes/source"},
    ("", "nodes", "*"): {"list": "kubernetes/versions"},
    ("", "events", "*"): {"create": "kubernetes/events", "patch": "kubernetes/events"},
    ("", "configmaps", "osm-proxy-files"): {
        "list": "kubernetes/proxy_files",
        "watch": "kubernetes/proxy_files",
        "create": "kubernetes/proxy_files",
        "patch": "kubernetes/proxy_files",
        "delete": "kubernetes/proxy_files",
    },
    ("authentication.k8s.io", "tokenreviews", "*"): {"create": "kubernetes/token_review"},
    **{
        right: dict.fromkeys(("list", "watch", "create", "patch"), "kubernetes/guard")
        for right in (
            (_HOOKS, "mutatingwebhookconfigurations", "osm-webhook-osm"),
            (_HOOKS, "validatingwebhookconfigurations", "osm-validator-mesh-osm"),
            *(
                (_CRDS, "customresourcedefinitions", f"{kind.plural}.{kind.group}")
                for kind in defined_kinds()
            ),
        )
    },
    **{
        (kind.group, kind.plural, "*"): {
            "get": "kubernetes/status",
            "list": "kubernetes/source",
            "watch": "kubernetes/source",
        }
        for kind in defined_kinds()
    },
    **{
        (kind.group, f"{kind.plural}/status", "*"): {"patch": "kubernetes/status"}
        for kind in defined_kinds()
    },
}
HERE: Mapping[Right, Mapping[str, str]] = {
    ("", "secrets", "*"): {"create": "kubernetes/root_secret"},
    ("", "secrets", "osm-ca-bundle"): {"get": "kubernetes/root_secret"},
    ("coordination.k8s.io", "leases", "*"): {"create": "kubernetes/lease"},
    ("coordination.k8s.io", "leases", "osm-controller-osm"): {
        "get": "kubernetes/lease",
        "update": "kubernetes/lease",
    },
    ("", "configmaps", "osm-controller-osm-refusals"): dict.fromkeys(
        ("get", "patch", "create"), "kubernetes/refusals"
    ),
}


@pytest.mark.parametrize(("role", "table"), [("ClusterRole", EVERYWHERE), ("Role", HERE)])
def test_each_right_is_needed_and_no_other_is_there(
    role: str, table: Mapping[Right, Mapping[str, str]]
) -> None:
    rules = one(role)["rules"]
    assert sorted(_rights(rules)) == sorted(
        (right, verb) for right, needs in table.items() for verb in needs
    )


@pytest.mark.parametrize(
    "module",
    sorted(
        {who for table in (EVERYWHERE, HERE) for needs in table.values() for who in needs.values()}
    ),
)
def test_who_needs_it_is_there(module: str) -> None:
    assert (SOURCES / "osm" / f"{module}.py").is_file()


def test_what_is_too_much_is_not_there() -> None:
    everywhere = {(right, verb) for right, verb in _rights(one("ClusterRole")["rules"])}
    for (group, resource, name), verb in everywhere:
        assert "*" not in (group, resource, verb)
        assert resource not in ("secrets", "pods/exec", "pods/portforward", "serviceaccounts/token")
        assert group != "rbac.authorization.k8s.io"
        assert verb not in ("impersonate", "escalate", "bind", "deletecollection", "update")
        if verb in ("create", "delete", "patch") and name == "*":
            assert resource.endswith(("/status", "events", "tokenreviews"))


def test_names_follow_the_values() -> None:
    rules = one("Role", "osm.caBundleSecretName=our-root")["rules"]
    assert (("", "secrets", "our-root"), "get") in set(_rights(rules))


def _rights(rules: list[dict[str, Any]]) -> Iterator[tuple[Right, str]]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", ["*"]):
                    for verb in rule["verbs"]:
                        yield (group, resource, name), verb
