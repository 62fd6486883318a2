"""Every kind that the mesh knows: its names, its versions, and the form of each version."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from osm.core.api import (
    config,
    config_checks,
    extension_service,
    ingress_checks,
    kubernetes,
    kubernetes_checks,
    policy,
    policy_checks,
    root_certificate,
    smi,
    smi_checks,
    smi_forms,
    upstream_checks,
    upstream_traffic,
)
from osm.core.api.metadata import Opaque
from osm.core.api.problem import Problem
from osm.core.model.groups import ACCESS, CONFIG, POLICY, SPECS, SPLIT

Document = dict[str, object]


def _as_written(document: Document) -> Document:
    return document


def _no_problems(_form: Any) -> Iterator[Problem]:
    return iter(())


def _itself(form: Any) -> object:
    return form


class Form(msgspec.Struct, frozen=True):
    """How one version is written.

    `adapt` repairs a document before it is looked at, `written_as` decodes it, `problems` checks
    the result, and `convert` makes the kind's one internal form of it.
    """

    written_as: type[msgspec.Struct]
    problems: Callable[[Any], Iterator[Problem]] = _no_problems
    convert: Callable[[Any], object] = _itself
    adapt: Callable[[Document], Document] = _as_written


class Kind(msgspec.Struct, frozen=True):
    """A kind of object. `forms` is empty for kinds that are stored and have no effect yet.

    The last version is the newest.
    """

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    forms: tuple[Form, ...] = ()
    """One for each version."""
    object_type: type[msgspec.Struct] = Opaque
    """The internal form: what `Manifest.object` is."""
    acts: bool = True
    """False: it is checked and stored, and the compiler does nothing with it yet."""

    @property
    def supported(self) -> bool:
        return bool(self.forms)

    @property
    def api_version(self) -> str:
        """The newest version as `apiVersion` writes it."""
        return self.written_version(self.versions[-1])

    def written_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version

    def form(self, version: str) -> Form | None:
        """The form of a version, or None when the kind does not have it."""
        return dict(zip(self.versions, self.forms, strict=False)).get(version)


def _kubernetes(
    group: str,
    kind: str,
    plural: str,
    short: str,
    type_: type[msgspec.Struct],
    problems: Callable[[Any], Iterator[Problem]] = _no_problems,
    *,
    namespaced: bool = True,
) -> Kind:
    return Kind(group, kind, plural, ("v1",), (short,), namespaced, (Form(type_, problems),), type_)


def _policy(
    group: str, kind: str, plural: str, short: str, version: str, form: Form, *, acts: bool = False
) -> Kind:
    """A kind of OSM's. Say `acts=True` when the compiler does what it says."""
    type_ = form.written_as
    names = (short,)
    return Kind(group, kind, plural, (version,), names, True, (form,), type_, acts)


def _stored(group: str, kind: str, plural: str, short: str, *versions: str) -> Kind:
    return Kind(group, kind, plural, versions, (short,) if short else ())


_TARGET_1 = Form(smi_forms.TargetV1Alpha1, smi_checks.target_problems, smi_forms.convert_target)
_TARGET = Form(smi_forms.Target, smi_checks.target_problems, smi_forms.convert_target)
_GROUP_1 = Form(smi_forms.GroupV1Alpha1, smi_checks.group_problems, smi_forms.convert_group)
_GROUP = Form(smi_forms.Group, smi_checks.group_problems, smi_forms.convert_group)
_ROUTE_1 = Form(smi_forms.RouteV1Alpha1, convert=smi_forms.convert_route)
_ROUTE = Form(smi_forms.Route, convert=smi_forms.convert_route)
_SPLIT_1 = Form(smi_forms.SplitV1Alpha1, smi_checks.split_problems, smi_forms.convert_split)
_SPLIT_3 = Form(smi_forms.Split, smi_checks.split_problems, smi_forms.convert_split)
_MESH_CONFIG = Form(
    config.MeshConfig, config_checks.config_problems, adapt=config_checks.with_off_as_text
)

_ROOT = Form(root_certificate.MeshRootCertificate, upstream_checks.root_certificate_problems)
_EXTENSION = Form(extension_service.ExtensionService)
_EGRESS = Form(policy.Egress, policy_checks.egress_problems, policy_checks.convert_egress)
_INGRESS = Form(
    policy.IngressBackend, ingress_checks.ingress_problems, ingress_checks.convert_ingress
)
_RETRY = Form(policy.Retry, policy_checks.retry_problems)
_TELEMETRY = Form(policy.Telemetry)
_UPSTREAM = Form(
    upstream_traffic.UpstreamTrafficSetting,
    upstream_checks.upstream_problems,
    upstream_checks.convert_upstream,
)

_1_TO_4 = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")

KINDS: tuple[Kind, ...] = (
    _kubernetes("", "Namespace", "namespaces", "ns", kubernetes.Namespace, namespaced=False),
    _kubernetes("", "ServiceAccount", "serviceaccounts", "sa", kubernetes.ServiceAccount),
    _kubernetes(
        "", "Service", "services", "svc", kubernetes.Service, kubernetes_checks.service_problems
    ),
    _kubernetes("", "Pod", "pods", "po", kubernetes.Pod, kubernetes_checks.pod_problems),
    _kubernetes(
        "apps",
        "Deployment",
        "deployments",
        "deploy",
        kubernetes.Deployment,
        kubernetes_checks.workload_problems,
    ),
    _kubernetes(
        "apps",
        "StatefulSet",
        "statefulsets",
        "sts",
        kubernetes.StatefulSet,
        kubernetes_checks.workload_problems,
    ),
    Kind(
        ACCESS,
        "TrafficTarget",
        "traffictargets",
        _1_TO_4[:3],
        ("tt",),
        forms=(_TARGET_1, _TARGET, _TARGET),
        object_type=smi.TrafficTarget,
    ),
    Kind(
        SPECS,
        "HTTPRouteGroup",
        "httproutegroups",
        _1_TO_4,
        ("htr",),
        forms=(_GROUP_1, _GROUP_1, _GROUP, _GROUP),
        object_type=smi.HTTPRouteGroup,
    ),
    Kind(
        SPECS,
        "TCPRoute",
        "tcproutes",
        _1_TO_4,
        ("tr",),
        forms=(_ROUTE_1, _ROUTE_1, _ROUTE_1, _ROUTE),
        object_type=smi.TCPRoute,
    ),
    Kind(
        SPLIT,
        "TrafficSplit",
        "trafficsplits",
        _1_TO_4,
        ("ts",),
        forms=(_SPLIT_1, _SPLIT_1, _SPLIT_3, _SPLIT_3),
        object_type=smi.TrafficSplit,
    ),
    Kind(
        CONFIG,
        "MeshConfig",
        "meshconfigs",
        _1_TO_4[:2],
        ("meshconfig",),
        forms=(_MESH_CONFIG, _MESH_CONFIG),
        object_type=config.MeshConfig,
    ),
    _stored(SPECS, "UDPRoute", "udproutes", "ur", "v1alpha4"),
    _policy(CONFIG, "MeshRootCertificate", "meshrootcertificates", "mrc", "v1alpha2", _ROOT),
    _policy(
        CONFIG,
        "ExtensionService",
        "extensionservices",
        "extsvc",
        "v1alpha2",
        _EXTENSION,
        acts=True,
    ),
    _policy(POLICY, "Egress", "egresses", "egress", "v1alpha1", _EGRESS, acts=True),
    _policy(
        POLICY,
        "IngressBackend",
        "ingressbackends",
        "ingressbackend",
        "v1alpha1",
        _INGRESS,
        acts=True,
    ),
    _policy(POLICY, "Retry", "retries", "retry", "v1alpha1", _RETRY, acts=True),
    _policy(POLICY, "Telemetry", "telemetries", "telemetry", "v1alpha1", _TELEMETRY, acts=True),
    _policy(
        POLICY,
        "UpstreamTrafficSetting",
        "upstreamtrafficsettings",
        "upstreamtrafficsetting",
        "v1alpha1",
        _UPSTREAM,
        acts=True,
    ),
    _stored("multicluster.x-k8s.io", "ServiceExport", "serviceexports", "svcex", "v1alpha1"),
    _stored("multicluster.x-k8s.io", "ServiceImport", "serviceimports", "svcim", "v1alpha1"),
    _stored("", "ConfigMap", "configmaps", "cm", "v1"),
    _stored("", "Secret", "secrets", "", "v1"),
    _stored("", "Endpoints", "endpoints", "ep", "v1"),
    _stored("", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "v1"),
    _stored("apps", "DaemonSet", "daemonsets", "ds", "v1"),
    _stored("apps", "ReplicaSet", "replicasets", "rs", "v1"),
)
"""In the order in which `osm get all` shows them."""


def find_kind(text: str) -> Kind | None:
    """Find a kind by what people type: `tt`, `services`, `Pod`, `ts.split.smi-spec.io`."""
    name, _, group = text.strip().lower().partition(".")
    for kind in KINDS:
        names = (kind.kind.lower(), kind.plural, *kind.short_names)
        if name in names and (not group or group == kind.group):
            return kind
    return None


def kind_of(group: str, kind: str) -> Kind | None:
    """The kind with exactly this group and name."""
    return next((k for k in KINDS if k.group == group and k.kind == kind), None)


def groups() -> tuple[str, ...]:
    """Every group that a known kind belongs to."""
    return tuple(dict.fromkeys(kind.group for kind in KINDS))
