"""What the injector answers to an API server that asks properly."""

from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs
from tests.unit.admission.reviews import UID, asked, injector, manifest, review
from tests.unit.inject.pods import (
    CLUSTER,
    INJECTION,
    MONITORED,
    container,
    namespace,
    pod,
)
from tests.unit.inject.test_patch import applied

from osm.core.api.kubernetes import Namespace
from osm.core.api.manifest import Key, Manifest
from osm.core.inject.patch import Operation
from osm.core.inject.pod import Document
from osm.core.model.probe import Probes
from osm.kubernetes.api_server import Status, Unreachable
from osm.telemetry.admission import AdmissionMetrics

OLD = msgspec.structs.replace(CLUSTER, native=False)


def nested(depth: int) -> object:
    found: object = 1
    for _ in range(depth):
        found = {"a": [found]}
    return found


def with_patch(document: Document, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """What an API server makes of it; raises when a step does not fit."""
    found = applied(document, msgspec.convert(steps, tuple[Operation, ...]))
    assert isinstance(found, dict)
    return found


def names(document: dict[str, Any], field: str = "initContainers") -> list[str]:
    return [each["name"] for each in document["spec"].get(field, [])]


async def test_the_answer_is_a_patch_that_adds_the_proxy() -> None:
    found = await asked(injector(), review())
    assert (found.uid, found.allowed, found.patch_type) == (UID, True, "JSONPatch")
    after = with_patch(pod(), found.steps)
    assert names(after) == ["osm-init", "envoy"]
    assert after["metadata"]["labels"] == {"app": "app", "osm-proxy-uuid": UID}


async def test_a_pod_that_stays_as_it_is_has_no_patch() -> None:
    found = await asked(injector(), review(pod(hostNetwork=True)))
    assert (found.allowed, found.patch_type, found.patch) == (True, "", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"operation": "UPDATE"},
        {"operation": "UPDATE", "subResource": "ephemeralcontainers"},
        {"operation": "CREATE", "subResource": "eviction"},
        {"operation": "DELETE", "object": None},
        {"operation": "CONNECT"},
    ],
    ids=str,
)
async def test_what_is_no_new_pod_is_let_through(fields: dict[str, object]) -> None:
    found = await asked(injector(), review(**fields))
    assert found.allowed and not found.patch


ANY = {"httpGet": {"port": 80, "path": "/"}}
KINDS = ("livenessProbe", "readinessProbe", "startupProbe")
ODD: dict[str, tuple[Document, str]] = {
    "100 containers": (
        pod(*(container(f"c{n}", **dict.fromkeys(KINDS, ANY)) for n in range(100))),
        "",
    ),
    "sidecars of its own": (pod(initContainers=[container("log", restartPolicy="Always")]), ""),
    "init containers null, as no API server writes": (
        pod(initContainers=None),
        "this pod cannot be read",
    ),
    "hostPort": (pod(container(ports=[{"containerPort": 80, "hostPort": 80}])), ""),
    "read-only file systems": (
        pod(container(securityContext={"readOnlyRootFilesystem": True})),
        "",
    ),
    "all kinds of probes": (
        pod(
            container("a", livenessProbe=ANY, readinessProbe={"exec": {"command": ["x"]}}),
            container("b", livenessProbe={"tcpSocket": {"port": "web"}}, readinessProbe=ANY),
            container("c", livenessProbe={"grpc": {"port": 9000}}, startupProbe={}),
        ),
        "",
    ),
    "names without characters": (pod(container("", livenessProbe=ANY)), ""),
    "two containers of one name": (pod(container(livenessProbe=ANY), container()), ""),
    "names of other alphabets": (pod(container("сервис"), annotations={"ключ": "значение"}), ""),
    "a name with slashes": (pod(container("a/b~c", livenessProbe=ANY)), ""),
    "a field nested 800 times": (pod(container(extra=nested(400), livenessProbe=ANY)), ""),
    "no containers": ({**pod(), "spec": {"containers": []}}, ""),
    "no metadata": ({"apiVersion": "v1", "kind": "Pod", "spec": pod()["spec"]}, ""),
    "labels null, as no API server writes": (
        {**pod(), "metadata": {"labels": None}},
        "this pod cannot be read",
    ),
    "an annotation of 200 KB": (pod(annotations={"a": "x" * 200_000}), ""),
    "the application on 15000": (
        pod(container(ports=[{"containerPort": 15000}])),
        "the proxy needs for",
    ),
    "user 1500": (pod(container(securityContext={"runAsUser": 1500})), "which is the proxy's"),
    "user 1500 of the pod": (pod(securityContext={"runAsUser": 1500}), "which is the proxy's"),
    "Windows": (pod(os={"name": "windows"}), "no proxy for Windows"),
    "a container named envoy": (pod(container("envoy")), "what the mesh calls its own"),
    "an init container named osm-init": (
        pod(initContainers=[container("osm-init")]),
        "what the mesh calls its own",
    ),
    "excluded ports that are none": (
        pod(annotations={"openservicemesh.io/outbound-port-exclusion-list": "80,http"}),
        "'http' is no port",
    ),
    "excluded everything": (
        pod(annotations={"openservicemesh.io/outbound-ip-range-exclusion-list": "0.0.0.0/0"}),
        "no call would be part of the mesh",
    ),
    "a word that says nothing": (pod(annotations={INJECTION: "ja"}), "write one of enabled"),
}


@pytest.mark.parametrize("cluster", [CLUSTER, OLD], ids=["native", "old"])
@pytest.mark.parametrize(("document", "refusal"), ODD.values(), ids=ODD)
async def test_an_odd_pod_gets_a_patch_that_fits_or_a_reason(
    document: Document, refusal: str, cluster: Any
) -> None:
    """Row W7."""
    with capture_logs() as logs:
        found = await asked(injector(cluster=cluster), review(document))
    assert not [each for each in logs if "exc_info" in each]
    if refusal:
        assert not found.allowed and refusal in found.message, found
        assert (found.status["code"], found.status["reason"]) == (403, "Forbidden")
        return
    after = with_patch(document, found.steps)
    both = names(after) + names(after, "containers")
    assert both.count("envoy") == both.count("osm-init") == 1
    again = await asked(injector(cluster=cluster), review(after))
    assert again.allowed and not again.patch, "row W6"


async def test_what_its_owner_should_know_is_a_warning() -> None:
    found = await asked(injector(), review(pod(container(livenessProbe={"grpc": {"port": 9000}}))))
    assert found.allowed and found.patch
    assert found.warnings[0].startswith("container app is probed by gRPC on port 9000")
    old = await asked(injector(cluster=OLD), review(pod(restartPolicy="Never")))
    assert "quitquitquit" in old.warnings[0]


async def test_mesh_config_and_annotations_say_what_goes_around_the_proxy() -> None:
    config = manifest(
        {
            "apiVersion": "config.openservicemesh.io/v1alpha2",
            "kind": "MeshConfig",
            "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
            "spec": {
                "sidecar": {"envoyImage": "mine/envoy:9", "logLevel": "debug"},
                "traffic": {"outboundPortExclusionList": [5432]},
            },
        }
    )
    elsewhere = Key(config.key.group, config.key.kind, "other", config.key.name)
    home = Key("", "Namespace", "", "shop")
    document = pod(annotations={"openservicemesh.io/outbound-port-exclusion-list": "6379"})
    for key, image, excluded in (
        (config.key, "mine/envoy:9", "tcp dport { 5432, 6379 } accept"),
        (elsewhere, CLUSTER.image, "tcp dport { 6379 } accept"),
    ):
        objects = {home: Manifest(home, namespace(), {}), key: config}
        found = await asked(injector(objects=objects), review(document))
        redirect, proxy = with_patch(document, found.steps)["spec"]["initContainers"]
        assert proxy["image"] == image
        assert excluded in redirect["command"][1]


NOT_MONITORED = namespace(labels={})
NOTHING_SAID = namespace(annotations={})
IGNORED = namespace(labels={**MONITORED, "openservicemesh.io/ignore": ""})


@pytest.mark.parametrize("behind", [NOT_MONITORED, NOTHING_SAID, IGNORED, None])
async def test_a_copy_that_is_behind_is_not_believed_when_it_says_no(
    behind: Namespace | None,
) -> None:
    names_asked: list[str] = []

    async def find(name: str) -> Namespace | None:
        names_asked.append(name)
        return namespace()

    answer = injector(behind, find=find, objects={} if behind is None else None)
    assert (await asked(answer, review())).patch
    assert names_asked == ["shop"]


async def test_what_the_copy_settles_is_not_asked_for() -> None:
    async def find(name: str) -> Namespace | None:
        raise AssertionError(name)

    answer = injector(find=find)
    for document in (
        pod(),
        pod(hostNetwork=True),
        pod(annotations={INJECTION: "disabled"}),
        pod(container("envoy")),
    ):
        assert (await asked(answer, review(document))).status.get("code") != 500


@pytest.mark.parametrize(
    "error",
    [Status(503, "x", "y"), Status(403, "x", "y"), Unreachable(OSError("z")), TimeoutError()],
)
async def test_who_cannot_know_refuses(error: Exception) -> None:
    async def find(_: str) -> Namespace | None:
        raise error

    for home in (NOT_MONITORED, NOTHING_SAID):
        found = await asked(injector(home, find=find), review())
        assert not found.allowed and found.status["code"] == 503
        assert "namespace shop" in found.message and "try again" in found.message
    assert (await asked(injector(find=find), review())).patch, "a copy that says yes is enough"


async def test_a_mistake_of_ours_refuses_and_is_logged() -> None:
    def fail(_: Probes) -> str:
        raise ValueError("/secret")

    with capture_logs() as logs:
        found = await asked(injector(start=fail), review())
    assert (found.allowed, found.status["code"]) == (False, 500)
    assert "/secret" not in found.message
    (logged,) = logs
    assert (logged["namespace"], logged["kind"]) == ("shop", "Pod")


async def test_pods_and_answers_are_counted_by_osms_names() -> None:
    registry = CollectorRegistry()
    answer = injector(metrics=AdmissionMetrics(registry))
    for document in (pod(), pod(), pod(hostNetwork=True), pod(container("envoy"))):
        await asked(answer, review(document))
    await asked(answer, review(dryRun=True))
    await asked(answer, review(kind={"group": "", "version": "v1", "kind": "Made up"}))
    lines = generate_latest(registry).decode().splitlines()
    for line in (
        "osm_injector_injector_sidecar_count 2.0",
        'osm_admission_webhook_response_total{kind="Pod",success="true"} 4.0',
        'osm_admission_webhook_response_total{kind="Pod",success="false"} 1.0',
        'osm_admission_webhook_response_total{kind="other",success="false"} 1.0',
        'osm_injector_injector_rq_time_count{success="true"} 4.0',
        'osm_injector_injector_rq_time_count{success="false"} 2.0',
    ):
        assert line in lines, line


async def test_more_than_an_argument_holds_is_refused() -> None:
    found = await asked(injector(start=lambda _: "x" * 200_000), review())
    assert not found.allowed and "probes, more than its proxy can be told of" in found.message
