"""An installation of OSM as its v1.2.4 makes it, by the facts that are known of it; our own words."""

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

CONFIG, POLICY = "config.openservicemesh.io", "policy.openservicemesh.io"
ACCESS, SPECS, SPLIT = "access.smi-spec.io", "specs.smi-spec.io", "split.smi-spec.io"
DEFINED: tuple[tuple[str, str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    # Group, kind, plural; versions that are served, the stored one last; and others.
    (CONFIG, "MeshConfig", "meshconfigs", ("v1alpha1", "v1alpha2"), ()),
    (CONFIG, "MeshRootCertificate", "meshrootcertificates", ("v1alpha2",), ()),
    (POLICY, "Egress", "egresses", ("v1alpha1",), ()),
    (POLICY, "IngressBackend", "ingressbackends", ("v1alpha1",), ()),
    (POLICY, "Retry", "retries", ("v1alpha1",), ()),
    (POLICY, "UpstreamTrafficSetting", "upstreamtrafficsettings", ("v1alpha1",), ()),
    (SPECS, "HTTPRouteGroup", "httproutegroups", ("v1alpha4",), ("v1alpha1", "v1alpha2")),
    (SPECS, "TCPRoute", "tcproutes", ("v1alpha4",), ()),
    (ACCESS, "TrafficTarget", "traffictargets", ("v1alpha3",), ("v1alpha1", "v1alpha2")),
    (SPLIT, "TrafficSplit", "trafficsplits", ("v1alpha2",), ("v1alpha3", "v1alpha4")),
)


def object_(
    api_version: str, kind: str, name: str, namespace: str = "", **fields: object
) -> Document:
    metadata: Document = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def labelled(document: Document, labels: Mapping[str, str]) -> Document:
    return {**document, "metadata": {**document["metadata"], "labels": dict(labels)}}


def annotated(document: Document, annotations: Mapping[str, str]) -> Document:
    return {**document, "metadata": {**document["metadata"], "annotations": dict(annotations)}}


def deployments(
    mesh: str = "osm",
    namespace: str = "osm-system",
    version: str = "v1.2.4",
    arguments: Mapping[str, str] | None = None,
) -> list[Document]:
    """The three of one control plane."""
    given = {
        "mesh-name": mesh,
        "osm-namespace": namespace,
        "osm-version": version,
        "certificate-manager": "tresor",
        "ca-bundle-secret-name": "osm-ca-bundle",
        "trust-domain": "cluster.local",
        **(arguments or {}),
    }
    return [
        _deployment(app, mesh, namespace, version, given)
        for app in ("osm-controller", "osm-injector", "osm-bootstrap")
    ]


def _deployment(
    app: str, mesh: str, namespace: str, version: str, given: Mapping[str, str]
) -> Document:
    labels = {
        "app": app,
        "meshName": mesh,
        "app.kubernetes.io/name": "openservicemesh.io",
        "app.kubernetes.io/instance": mesh,
        "app.kubernetes.io/version": version,
        **({"enforceSingleMesh": "true"} if app == "osm-controller" else {}),
    }
    words: list[str] = []
    for key, value in given.items():
        words += ["--" + key, value] if key == "mesh-name" else [f"--{key}={value}"]
    container = {
        "name": app,
        "image": f"mesh.local/{app}:{version}",
        "command": [f"/{app}"],
        "args": words,
    }
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": {"app": app}},
        "template": {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}},
    }
    return labelled(object_("apps/v1", "Deployment", app, namespace, spec=spec), labels)


def definitions(reconcile: str = "v1.2.4") -> list[Document]:
    """The CustomResourceDefinitions; their schemas take everything."""
    return [definition(*each, reconcile=reconcile) for each in DEFINED]


def definition(
    group: str,
    kind: str,
    plural: str,
    served: tuple[str, ...],
    others: tuple[str, ...] = (),
    *,
    reconcile: str = "",
) -> Document:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [
        {
            "name": version,
            "served": version in served,
            "storage": version == served[-1],
            "schema": {"openAPIV3Schema": anything},
        }
        for version in (*served, *others)
    ]
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
        "versions": versions,
    }
    crd = object_(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{group}", spec=spec
    )
    labels = {"app.kubernetes.io/name": "openservicemesh.io"}
    if reconcile:
        labels["openservicemesh.io/reconcile"] = reconcile
    return {**labelled(crd, labels), "status": {"storedVersions": [served[-1]]}}


def mesh_config(namespace: str = "osm-system", **spec: object) -> Document:
    return object_(f"{CONFIG}/v1alpha2", "MeshConfig", "osm-mesh-config", namespace, spec=spec)


def namespace(name: str, mesh: str = "osm", **annotations: str) -> Document:
    label = {"openservicemesh.io/monitored-by": mesh}
    keys = {f"openservicemesh.io/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return annotated(labelled(object_("v1", "Namespace", name), label), keys)


def pod(name: str, place: str, *containers: Document, **spec: object) -> Document:
    """As OSM's injector leaves it."""
    uuid = "00000000-1111-2222-3333-444444444444"
    secret = {"secretName": f"envoy-bootstrap-config-{uuid}"}
    found = object_(
        "v1",
        "Pod",
        name,
        place,
        spec={
            "containers": [
                *(containers or [{"name": "app", "image": "mesh.local/app:1"}]),
                {"name": "envoy", "image": "mesh.local/envoy:1"},
            ],
            "initContainers": [{"name": "osm-init", "image": "mesh.local/init:1"}],
            "volumes": [{"name": "envoy-bootstrap-config-volume", "secret": secret}],
            **spec,
        },
    )
    return labelled(found, {"osm-proxy-uuid": uuid})


def secret(name: str, place: str, *keys: str) -> Document:
    data = {key: base64.b64encode(b"x").decode() for key in keys}
    return object_("v1", "Secret", name, place, type="Opaque", data=data)


def release(values: Mapping[str, object], mesh: str = "osm", place: str = "osm-system") -> Document:
    """Helm's record of what it installed."""
    record = gzip.compress(json.dumps({"name": mesh, "config": values}).encode())
    data = {"release": base64.b64encode(base64.b64encode(record)).decode()}
    labels = {"owner": "helm", "name": mesh, "status": "deployed", "version": "1"}
    found = object_(
        "v1", "Secret", f"sh.helm.release.v1.{mesh}.v1", place, type="helm.sh/release.v1", data=data
    )
    return labelled(found, labels)


def webhooks(mesh: str = "osm", place: str = "osm-system") -> list[Document]:
    """Both configurations, without what they are about: they must stop nothing."""
    labels = {
        "app.kubernetes.io/name": "openservicemesh.io",
        "app.kubernetes.io/instance": mesh,
        "openservicemesh.io/reconcile": "true",
    }
    return [
        labelled(
            object_(
                "admissionregistration.k8s.io/v1",
                kind,
                name,
                webhooks=[
                    {
                        "name": webhook,
                        "clientConfig": {
                            "service": {"name": service, "namespace": place, "path": path}
                        },
                        "rules": [],
                        "sideEffects": "None",
                        "admissionReviewVersions": ["v1"],
                    }
                ],
            ),
            labels,
        )
        for kind, name, webhook, service, path in (
            (
                "MutatingWebhookConfiguration",
                f"osm-webhook-{mesh}",
                "osm-inject.k8s.io",
                "osm-injector",
                "/mutate-pod-creation",
            ),
            (
                "ValidatingWebhookConfiguration",
                f"osm-validator-mesh-{mesh}",
                "osm-validator.k8s.io",
                "osm-validator",
                "/validate",
            ),
        )
    ]


def target(name: str, place: str, *rules: Document) -> Document:
    spec = {
        "destination": {"kind": "ServiceAccount", "name": "shop", "namespace": place},
        "sources": [{"kind": "ServiceAccount", "name": "buyer", "namespace": place}],
        "rules": list(rules),
    }
    return object_(f"{ACCESS}/v1alpha3", "TrafficTarget", name, place, spec=spec)


def routes(name: str, place: str, path: str = "/buy") -> Document:
    match = {"name": "all", "pathRegex": path, "methods": ["GET"]}
    return object_(f"{SPECS}/v1alpha4", "HTTPRouteGroup", name, place, spec={"matches": [match]})


SETTINGS: dict[str, Any] = {
    "sidecar": {
        "logLevel": "error",
        "tlsMinProtocolVersion": "TLSv1_2",
        "configResyncInterval": "0s",
    },
    "traffic": {"enableEgress": True, "enablePermissiveTrafficPolicyMode": True},
    "observability": {"osmLogLevel": "info", "tracing": {"enable": False}},
    "certificate": {"serviceCertValidityDuration": "24h", "certKeyBitSize": 2048},
    "featureFlags": {"enableWASMStats": True, "enableEgressPolicy": True},
}
"""MeshConfig as v1.2.4's chart makes it, as far as anybody looks at it here."""
