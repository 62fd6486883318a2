"""The control plane's pod keeps to the pod security standard `restricted`, and to more than that.

Source: Kubernetes, "Pod Security Standards"; a row for each control that concerns a Linux pod.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
from tests.unit.install.installed import pod

from osm.core.install.presets import PRESETS

Spec = dict[str, Any]


_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def _of_container(check: Callable[[Mapping[str, Any]], bool]) -> Callable[[Spec], bool]:
    return lambda spec: all(
        check(each.get("securityContext", {}))
        for each in (*spec["containers"], *spec.get("initContainers", ()))
    )


RULES: Mapping[str, tuple[Callable[[Spec], bool], Callable[[Spec], object]]] = {
    "no namespaces of the node": (
        lambda spec: not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
        lambda spec: spec.update(hostPID=True),
    ),
    "not privileged": (
        _of_container(lambda context: not context.get("privileged")),
        lambda spec: _context(spec).update(privileged=True),
    ),
    "no capabilities": (
        _of_container(
            lambda context: (
                context.get("capabilities", {}).get("drop") == ["ALL"]
                and not context["capabilities"].get("add")
            )
        ),
        lambda spec: _context(spec)["capabilities"].update(add=["NET_BIND_SERVICE"]),
    ),
    "volumes that hold nothing of the node": (
        lambda spec: all(set(each) - {"name"} <= _VOLUMES for each in spec["volumes"]),
        lambda spec: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    ),
    "no ports of the node": (
        lambda spec: (
            not any("hostPort" in port for each in spec["containers"] for port in each["ports"])
        ),
        lambda spec: spec["containers"][0]["ports"][0].update(hostPort=80),
    ),
    "no more rights than at the start": (
        _of_container(lambda context: context.get("allowPrivilegeEscalation") is False),
        lambda spec: _context(spec).pop("allowPrivilegeEscalation"),
    ),
    "not as root": (
        lambda spec: (
            spec["securityContext"].get("runAsNonRoot") is True
            and spec["securityContext"].get("runAsUser", 0) != 0
        ),
        lambda spec: spec["securityContext"].update(runAsUser=0),
    ),
    "system calls are filtered": (
        lambda spec: spec["securityContext"].get("seccompProfile") == {"type": "RuntimeDefault"},
        lambda spec: spec["securityContext"].pop("seccompProfile"),
    ),
    "nothing can be written but temporary files": (
        _of_container(lambda context: context.get("readOnlyRootFilesystem") is True),
        lambda spec: _context(spec).update(readOnlyRootFilesystem=False),
    ),
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("rule", RULES)
def test_rule_is_kept(rule: str, preset: str) -> None:
    assert RULES[rule][0](pod(preset=preset)["spec"])


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_broken_by_what_it_forbids(rule: str) -> None:
    check, spoil = RULES[rule]
    spec = deepcopy(pod()["spec"])
    spoil(spec)
    assert not check(spec)


def _context(spec: Spec) -> Spec:
    context: Spec = spec["containers"][0]["securityContext"]
    return context
