"""Every served version of a kind means the same: it converts to one internal form."""

from collections.abc import Mapping

import msgspec
import pytest

from osm.core.api import smi
from osm.core.api.config import MeshConfig
from osm.core.api.decode import decode
from osm.core.api.kubernetes import Deployment, Pod, Service, StatefulSet
from osm.core.api.manifest import Manifest
from osm.core.api.registry import KINDS, find_kind, kind_of
from osm.core.api.yaml_text import parse
from osm.core.model.origin import Severity

Document = dict[str, object]


def load(document: Mapping[str, object]) -> Manifest:
    decoded = decode(document, where="f.yaml:1")
    assert decoded.manifest is not None, decoded.findings
    return decoded.manifest


def split(version: str, *weights: object, matches: bool = False) -> Document:
    spec: Document = {
        "service": "bookstore",
        "backends": [{"service": f"v{n}", "weight": w} for n, w in enumerate(weights)],
    }
    if matches:
        spec["matches"] = [{"kind": "HTTPRouteGroup", "name": "beta"}]
    return {
        "apiVersion": f"split.smi-spec.io/{version}",
        "kind": "TrafficSplit",
        "metadata": {"name": "s"},
        "spec": spec,
    }


DESTINATION = {"kind": "ServiceAccount", "name": "bookstore", "namespace": "bookstore"}
SOURCES = [{"kind": "ServiceAccount", "name": "bookbuyer", "namespace": "bookbuyer"}]
RULES = [{"kind": "HTTPRouteGroup", "name": "routes", "matches": ["buy"]}]
MATCHES = [
    {"name": "buy", "pathRegex": ".*a-book.*new", "methods": ["GET"], "headers": [{"Host": "b"}]}
]


def target(version: str) -> Document:
    body: Document = {"destination": DESTINATION, "sources": SOURCES}
    body["specs" if version == "v1alpha1" else "rules"] = RULES
    return {
        "apiVersion": f"access.smi-spec.io/{version}",
        "kind": "TrafficTarget",
        "metadata": {"name": "t", "namespace": "bookstore"},
    } | (body if version == "v1alpha1" else {"spec": body})


def group(version: str) -> Document:
    body: Document = {"matches": MATCHES}
    return {
        "apiVersion": f"specs.smi-spec.io/{version}",
        "kind": "HTTPRouteGroup",
        "metadata": {"name": "routes"},
    } | (body if version in ("v1alpha1", "v1alpha2") else {"spec": body})


def mesh_config(version: str) -> Document:
    return {
        "apiVersion": f"config.openservicemesh.io/{version}",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
        "spec": {
            "sidecar": {"logLevel": "debug", "resources": {"limits": {"cpu": 1}}},
            "traffic": {"enablePermissiveTrafficPolicyMode": True},
            "featureFlags": {"enableWASMStats": True},
        },
    }


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3"])
def test_every_version_of_a_traffic_target_has_one_meaning(version: str) -> None:
    assert load(target(version)).object == smi.TrafficTarget(
        load(target("v1alpha3")).object.metadata,
        smi.TrafficTargetSpec(
            smi.Destination("bookstore", "bookstore"),
            (smi.Subject("bookbuyer", "bookbuyer"),),
            (smi.TrafficTargetRule("HTTPRouteGroup", "routes", ("buy",)),),
        ),
    )


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"])
def test_every_version_of_an_http_route_group_has_one_meaning(version: str) -> None:
    match = smi.HTTPMatch("buy", ".*a-book.*new", ("GET",), (("host", "b"),))
    assert load(group(version)).object.spec == smi.HTTPRouteGroupSpec((match,))


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"])
def test_every_version_of_a_traffic_split_has_one_meaning(version: str) -> None:
    assert load(split(version, 25, 75)).object == load(split("v1alpha2", 25, 75)).object


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3"])
def test_a_tcp_route_before_v1alpha4_may_say_nothing(version: str) -> None:
    document = {
        "apiVersion": f"specs.smi-spec.io/{version}",
        "kind": "TCPRoute",
        "metadata": {"name": "r"},
    }
    assert load(document).object.spec.matches.ports == ()


def test_a_tcp_route_has_ports_since_v1alpha4() -> None:
    document: Document = {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "TCPRoute",
        "metadata": {"name": "r"},
        "spec": {"matches": {"ports": [3306, 80]}},
    }
    assert load(document).object.spec.matches.ports == (3306, 80)


def test_both_versions_of_mesh_config_have_one_meaning() -> None:
    old, new = load(mesh_config("v1alpha1")).object, load(mesh_config("v1alpha2")).object
    assert old == new
    assert isinstance(new, MeshConfig)
    assert new.spec.traffic.enable_permissive_traffic_policy_mode
    assert new.spec.feature_flags.enable_wasm_stats
    assert new.spec.certificate.service_cert_validity_duration == "24h"


@pytest.mark.parametrize(
    ("written", "weights"),
    [
        ((50, 50), (50, 50)),
        (("500m", "500m"), (1, 1)),
        (("900m", "100m"), (9, 1)),
        ((1, "1k"), (1, 1000)),
        (("0.25", 0.75), (1, 3)),
        ((0.1, 0.2, 0.7), (1, 2, 7)),
        (("1", "0"), (1, 0)),
        (("1Ki", "1e3"), (1024, 1000)),
        (("2G", "4G"), (1, 2)),
        (("100m", 1, "1.5"), (1, 10, 15)),
        ((0, 0), (0, 0)),
    ],
)
def test_weights_become_integers_in_exactly_the_proportion_written(
    written: tuple[object, ...], weights: tuple[int, ...]
) -> None:
    backends = load(split("v1alpha1", *written)).object.spec.backends
    assert tuple(backend.weight for backend in backends) == weights


@pytest.mark.parametrize("version", ["v1alpha3", "v1alpha4"])
def test_a_split_may_hold_for_some_requests_since_v1alpha3(version: str) -> None:
    assert load(split(version, 1, 1, matches=True)).object.spec.matches == (smi.SplitMatch("beta"),)


def test_matches_of_an_older_split_have_no_effect_and_are_warned_of() -> None:
    decoded = decode(split("v1alpha2", 1, 1, matches=True))
    assert decoded.manifest is not None
    assert decoded.manifest.object.spec.matches == ()
    assert [finding.code for finding in decoded.findings] == ["OSM111"]


@pytest.mark.parametrize(
    "headers",
    [
        [{"host": "a"}, {"User-Agent": "b"}],
        [{"host": "a", "user-agent": "b"}],
        {"host": "a", "user-agent": "b"},
    ],
)
def test_headers_may_be_written_as_a_list_of_maps_or_as_a_map(headers: object) -> None:
    document = group("v1alpha4")
    document["spec"] = {"matches": [{"name": "m", "headers": headers}]}
    (match,) = load(document).object.spec.matches
    assert match.headers == (("host", "a"), ("user-agent", "b"))


@pytest.mark.parametrize("port", [8080, "8080"])
def test_a_destination_port_of_v1alpha1_is_kept(port: object) -> None:
    document = target("v1alpha1") | {"destination": DESTINATION | {"port": port}}
    assert load(document).object.spec.destination.port == 8080


@pytest.mark.parametrize("port", [0.5, "http", 70000, -1, "9" * 5000])
def test_a_destination_port_that_is_none_refuses_the_target(port: object) -> None:
    document = target("v1alpha1") | {"destination": DESTINATION | {"port": port}}
    assert decode(document).manifest is None


def test_namespaces_that_are_not_given_are_the_objects_own() -> None:
    document = target("v1alpha2")
    subject = {"kind": "ServiceAccount", "name": "x"}
    document["spec"] = {"destination": subject, "sources": [subject], "rules": RULES}
    spec = load(document).object.spec
    assert (spec.destination.namespace, spec.sources[0].namespace) == ("bookstore", "bookstore")


def test_manifests_of_osm_0_1_load_as_they_are() -> None:
    text = """\
kind: TrafficTarget
apiVersion: access.smi-spec.io/v1alpha2
metadata:
  name: bookstore-v1
  namespace: "bookstore"
spec:
  destination:
    kind: ServiceAccount
    name: bookstore-v1
    namespace: bookstore
  rules:
  - kind: HTTPRouteGroup
    name: bookstore-service-routes
    matches:
    - buy-a-book
    - books-bought
  sources:
  - kind: ServiceAccount
    name: bookbuyer
    namespace: bookbuyer

  # - kind: ServiceAccount
  #   name: bookthief
  #   namespace: bookthief
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata:
  name: bookstore-service-routes
  namespace: bookstore
spec:
  matches:
  - name: books-bought
    pathRegex: /books-bought
    methods:
    - GET
    headers:
    - host: "bookstore.bookstore"
    - "user-agent": ".*-http-client/*.*"
    - "client-app": "bookbuyer"
  - name: buy-a-book
    pathRegex: ".*a-book.*new"
    methods:
    - GET
    headers:
    - host: "bookstore.bookstore"
  - name: update-books-bought
    pathRegex: /update-books-bought
    methods:
    - POST
    headers:
    - host: "bookstore.bookstore"
---
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata:
  name: bookstore-split
  namespace: bookstore
spec:
  service: bookstore.bookstore
  backends:
  - service: bookstore-v1
    weight: 100
  - service: bookstore-v2
    weight: 0
"""
    parsed = parse(text, file="v0.1.0.yaml")
    assert parsed.findings == ()
    target_, group_, split_ = (manifest.object for manifest in parsed.manifests)
    assert target_.spec.rules[0].matches == ("buy-a-book", "books-bought")
    assert group_.spec.matches[0].headers == (
        ("host", "bookstore.bookstore"),
        ("user-agent", ".*-http-client/*.*"),
        ("client-app", "bookbuyer"),
    )
    assert split_.spec.service == "bookstore.bookstore"
    lines = ["---", *text.splitlines()]
    starts = [number + 1 for number, line in enumerate(lines) if line == "---"]
    assert [m.where for m in parsed.manifests] == [f"v0.1.0.yaml:{number}" for number in starts]


@pytest.mark.parametrize("level", ["off", '"off"', "OFF"])
def test_log_level_off_is_taken_although_yaml_reads_it_as_false(level: str) -> None:
    text = (
        "apiVersion: config.openservicemesh.io/v1alpha2\nkind: MeshConfig\n"
        f"metadata: {{name: osm-mesh-config}}\nspec: {{sidecar: {{logLevel: {level}}}}}\n"
    )
    (manifest,) = parse(text, file="f.yaml").manifests
    assert manifest.object.spec.sidecar.log_level == "off"


@pytest.mark.parametrize(
    ("sidecar", "versions"),
    [
        ({}, ("TLSv1_3", "TLSv1_3")),
        ({"tlsMinProtocolVersion": "TLSv1_2"}, ("TLSv1_2", "TLSv1_3")),
        ({"tlsMaxProtocolVersion": "TLSv1_2"}, ("TLSv1_2", "TLSv1_2")),
    ],
)
def test_tls_is_1_3_unless_less_is_allowed(
    sidecar: dict[str, str], versions: tuple[str, str]
) -> None:
    document = mesh_config("v1alpha2") | {"spec": {"sidecar": sidecar}}
    spec = load(document).object.spec.sidecar
    assert (spec.lowest_tls_version, spec.tls_max_protocol_version) == versions


def test_empty_fields_mean_the_same_as_absent_ones() -> None:
    document: Document = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a", "labels": None},
        "spec": {"selector": None, "ports": [{"port": 1, "name": None}], "type": None},
    }
    manifest = load(document)
    assert manifest.object.spec.type == "ClusterIP"
    assert manifest.raw is document


def test_a_service_port_goes_to_the_port_of_the_same_number_by_default() -> None:
    ports: Document = {
        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 1, "targetPort": "web"}]
    }
    document: Document = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": ports,
    }
    service = load(document).object
    assert isinstance(service, Service)
    assert [port.target_port for port in service.spec.ports] == [80, "web"]


def test_objects_from_an_api_server_decode_without_the_checks_of_files() -> None:
    pod = msgspec.json.decode(
        b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","managedFields":[{"a":1}]},'
        b'"spec":{"serviceAccount":"shop","containers":[{"name":"c","resources":{}}]},'
        b'"status":{"podIP":"10.1.2.3","podIPs":[{"ip":"10.1.2.3"}]}}',
        type=Pod,
    )
    assert (pod.spec.service_account_name, pod.status.pod_ip) == ("shop", "10.1.2.3")


@pytest.mark.parametrize("kind", ["ServiceExport", "ServiceImport"])
def test_kinds_that_are_not_supported_yet_are_stored_with_a_note(kind: str) -> None:
    decoded = decode(
        {
            "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": "e", "namespace": "a"},
            "spec": {"anything": [1]},
        }
    )
    assert decoded.manifest is not None
    assert decoded.manifest.raw["spec"] == {"anything": [1]}
    assert [(f.code, f.severity) for f in decoded.findings] == [("OSM106", Severity.INFO)]


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "ConfigMap"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("batch/v1", "Job"),
        ("networking.k8s.io/v1", "Ingress"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("v1", "PersistentVolume"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("serving.knative.dev/v1", "Service"),
    ],
)
def test_other_kinds_beside_ours_do_no_harm(api_version: str, kind: str) -> None:
    decoded = decode({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}})
    assert decoded.manifest is not None
    assert [finding.severity for finding in decoded.findings] == [Severity.INFO]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("tt", "TrafficTarget"),
        ("TrafficTarget", "TrafficTarget"),
        ("traffictargets", "TrafficTarget"),
        ("htr", "HTTPRouteGroup"),
        ("tr", "TCPRoute"),
        ("ts", "TrafficSplit"),
        ("deploy", "Deployment"),
        ("sts", "StatefulSet"),
        ("svc", "Service"),
        ("services", "Service"),
        ("sa", "ServiceAccount"),
        ("ns", "Namespace"),
        ("po", "Pod"),
        ("pods", "Pod"),
        ("meshconfig", "MeshConfig"),
        ("meshconfigs", "MeshConfig"),
        (" TS.split.smi-spec.io ", "TrafficSplit"),
        ("egress", "Egress"),
        ("deployments.apps", "Deployment"),
    ],
)
def test_kinds_are_found_by_the_names_that_kubectl_takes(text: str, kind: str) -> None:
    found = find_kind(text)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize("text", ["", "nothing", "tt.split.smi-spec.io", "."])
def test_what_is_no_kind_is_not_found(text: str) -> None:
    assert find_kind(text) is None


def test_no_two_kinds_share_a_name() -> None:
    names = [name for kind in KINDS for name in {kind.kind.lower(), kind.plural, *kind.short_names}]
    assert len(names) == len(set(names))


def test_each_supported_kind_has_a_form_for_each_version() -> None:
    assert all(len(kind.forms) in (0, len(kind.versions)) for kind in KINDS)


@pytest.mark.parametrize(
    ("kind", "type_"), [("Deployment", Deployment), ("StatefulSet", StatefulSet)]
)
def test_the_registry_says_which_type_a_kind_has(kind: str, type_: type) -> None:
    found = kind_of("apps", kind)
    assert found is not None
    assert found.object_type is type_
    assert found.api_version == "apps/v1"
