"""Which pods get a proxy, which do not, and which are refused."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace
from tests.unit.inject.pods import (
    CLUSTER,
    INJECTION,
    MESH,
    METRICS,
    MONITORED,
    answer,
    container,
    namespace,
    pod,
    read,
    with_spec,
)

from osm.core.api.kubernetes import Namespace
from osm.core.api.mesh_keys import IGNORE, MONITORED_BY, TAKEN_OVER_BY
from osm.core.inject.decision import MeshName, decide
from osm.core.inject.injection import Injected
from osm.core.inject.pod import Document, read_pod
from osm.core.inject.verdict import Inject, Leave, Refuse, Verdict
from osm.core.model.redirection import Redirection

OUTBOUND = "openservicemesh.io/outbound-port-exclusion-list"


def verdict(
    document: Document,
    home: Namespace | None = None,
    *,
    native: bool = True,
    redirection: Redirection = Redirection(),  # noqa: B008 (frozen)
) -> Verdict:
    return decide(read(document), home or namespace(), MESH, redirection, native=native)


def said(value: str | None) -> Mapping[str, str]:
    return {} if value is None else {INJECTION: value}


@pytest.mark.parametrize("word", ["enabled", "yes", "true", "Enabled", "YES", "tRue"])
def test_a_pod_says_that_it_wants_a_proxy(word: str) -> None:
    assert verdict(pod(annotations=said(word)), namespace(annotations={})) == Inject()


@pytest.mark.parametrize("word", ["disabled", "no", "false", "Disabled", "NO", "False"])
def test_a_pod_says_that_it_wants_none(word: str) -> None:
    assert isinstance(verdict(pod(annotations=said(word))), Leave)
    assert isinstance(verdict(pod(), namespace(annotations=said(word))), Leave)


@pytest.mark.parametrize(
    ("of_pod", "of_namespace", "outcome"),
    [
        (None, None, Leave),
        (None, "enabled", Inject),
        (None, "disabled", Leave),
        ("enabled", None, Inject),
        ("enabled", "enabled", Inject),
        ("enabled", "disabled", Inject),
        ("disabled", None, Leave),
        ("disabled", "enabled", Leave),
        ("disabled", "disabled", Leave),
    ],
)
def test_the_pods_word_counts_before_its_namespaces(
    of_pod: str | None, of_namespace: str | None, outcome: type[Verdict]
) -> None:
    found = verdict(pod(annotations=said(of_pod)), namespace(annotations=said(of_namespace)))
    assert isinstance(found, outcome)


@pytest.mark.parametrize("word", ["", "on", "1", " true", "enabled;reboot", "$(id)", "x" * 5000])
def test_any_other_word_is_refused_wherever_it_stands(word: str) -> None:
    for found in (
        verdict(pod(annotations=said(word))),
        verdict(pod(annotations=said("disabled")), namespace(annotations=said(word))),
    ):
        assert isinstance(found, Refuse)
        assert INJECTION in found.message
        assert "enabled" in found.message
        assert len(found.message) < 400


@pytest.mark.parametrize(
    ("home", "reason"),
    [
        (namespace("kube-system"), "kube-system"),
        (namespace("kube-public"), "kube-public"),
        (namespace("osm-system"), "osm-system"),
        (namespace(labels={}), "not part of mesh osm"),
        (namespace(labels={"openservicemesh.io/monitored-by": "other"}), "not part of mesh osm"),
        (namespace(labels={**MONITORED, "openservicemesh.io/ignore": "true"}), "ignore"),
        # Trap 33: the key counts, not its value.
        (namespace(labels={**MONITORED, "openservicemesh.io/ignore": "false"}), "ignore"),
        (namespace(annotations={}), "neither it nor its namespace"),
    ],
)
def test_some_namespaces_have_no_proxies_whatever_their_pods_say(
    home: Namespace, reason: str
) -> None:
    wants = pod() if not home.metadata.annotations else pod(annotations=said("enabled"))
    found = verdict(wants, home)
    assert isinstance(found, Leave)
    assert reason in found.reason


def test_a_pod_on_its_nodes_network_is_left_alone_even_if_it_says_nonsense() -> None:
    assert isinstance(verdict(pod(hostNetwork=True, annotations=said("perhaps"))), Leave)


def test_nonsense_in_a_namespace_that_is_not_of_the_mesh_hurts_nobody() -> None:
    assert isinstance(verdict(pod(annotations=said("perhaps")), namespace(labels={})), Leave)


@pytest.mark.parametrize(
    "spec",
    [
        {"os": {"name": "windows"}},
        {"nodeSelector": {"kubernetes.io/os": "windows"}},
    ],
)
def test_pods_for_windows_are_refused_with_a_way_out(spec: Mapping[str, object]) -> None:
    found = verdict(with_spec(pod(), spec))
    assert isinstance(found, Refuse)
    assert "Windows" in found.message
    assert f"{INJECTION}: disabled" in found.message
    assert isinstance(verdict(with_spec(pod(annotations=said("disabled")), spec)), Leave)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (pod(container("envoy")), "container envoy"),
        (pod(initContainers=[container("osm-init")]), "container osm-init"),
        (pod(volumes=[{"name": "osm-proxy-identity", "emptyDir": {}}]), "osm-proxy-identity"),
        (pod(container(securityContext={"runAsUser": 1500})), "user 1500"),
        (pod(securityContext={"runAsUser": 1500}), "user 1500"),
        (pod(container(ports=[{"containerPort": 15000}])), "15000, which the proxy needs"),
        (pod(annotations={OUTBOUND: "80;reboot"}), OUTBOUND),
        (pod(annotations={OUTBOUND: ",".join(["80"] * 10_000)}), "10000 entries"),
    ],
)
def test_what_cannot_be_in_the_mesh_is_refused_and_told_why(
    document: Document, complaint: str
) -> None:
    found = verdict(document)
    assert isinstance(found, Refuse)
    assert complaint in found.message


def test_all_obstacles_are_told_at_once() -> None:
    found = verdict(
        pod(container("envoy", ports=[{"containerPort": 15001}]), os={"name": "windows"})
    )
    assert isinstance(found, Refuse)
    assert [word in found.message for word in ("Windows", "envoy", "15001")] == [True] * 3


def test_a_container_may_have_another_user_than_its_pod() -> None:
    own = container(securityContext={"runAsUser": 1000})
    assert verdict(pod(own, securityContext={"runAsUser": 1500})) == Inject()


def test_nonsense_about_metrics_is_refused() -> None:
    found = verdict(pod(), namespace(annotations={**said("enabled"), METRICS: "some"}))
    assert isinstance(found, Refuse)
    assert METRICS in found.message


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "pod",
        {},
        {"spec": {}},
        {"spec": {"containers": None}},
        {"spec": {"containers": [None]}},
        {"spec": {"containers": [{"ports": [{"containerPort": "x"}]}]}},
        {"metadata": {"annotations": {"a": 1}}, "spec": {"containers": []}},
        {"spec": {"containers": [{"livenessProbe": {"httpGet": {"port": []}}}]}},
    ],
)
def test_what_is_no_pod_is_refused_and_not_more(document: object) -> None:
    assert isinstance(read_pod(document), Refuse)


def test_a_job_is_warned_only_where_its_proxy_outlives_it() -> None:
    job = pod(restartPolicy="Never")
    assert verdict(job) == Inject()
    old = verdict(job, native=False)
    assert isinstance(old, Inject)
    assert [("quitquitquit" in warning) for warning in old.warnings] == [True]
    assert verdict(pod(), native=False) == Inject()


def test_probes_by_grpc_are_warned_of_unless_their_port_is_excluded() -> None:
    probed = pod(container(readinessProbe={"grpc": {"port": 9000}}))
    found = verdict(probed)
    assert isinstance(found, Inject)
    assert ["9000" in warning for warning in found.warnings] == [True]
    assert verdict(probed, redirection=Redirection(inbound_ports=(9000,))) == Inject()


TAKING_OVER = MeshName("new", "new-system", former="osm")
TAKEN = {
    **MONITORED,
    "openservicemesh.io/taken-over-by": "new",
    "openservicemesh.io/ignore": "true",
}


@pytest.mark.parametrize(
    ("mesh", "home", "of_pod", "outcome"),
    [
        (TAKING_OVER, namespace(labels=TAKEN), None, Inject),
        (TAKING_OVER, namespace(labels=TAKEN), "disabled", Leave),
        (TAKING_OVER, namespace(labels=TAKEN, annotations=said("disabled")), None, Leave),
        (TAKING_OVER, namespace(labels=TAKEN, annotations={}), "enabled", Inject),
        (TAKING_OVER, namespace(labels=MONITORED), None, Leave),
        (TAKING_OVER, namespace(labels={**MONITORED, IGNORE: "true"}), None, Leave),
        (TAKING_OVER, namespace(labels={**TAKEN, TAKEN_OVER_BY: "other"}), None, Leave),
        (TAKING_OVER, namespace(labels={MONITORED_BY: "new"}), None, Inject),
        (TAKING_OVER, namespace(labels={MONITORED_BY: "new", IGNORE: "true"}), None, Leave),
        (MeshName("new", "new-system"), namespace(labels=TAKEN), None, Leave),
        (MESH, namespace(labels=TAKEN), None, Leave),
    ],
)
def test_a_mesh_that_takes_over_gives_proxies_where_it_took_over(
    mesh: MeshName, home: Namespace, of_pod: str | None, outcome: type[Verdict]
) -> None:
    document = pod(annotations=said(of_pod))
    found = decide(read(document), home, mesh, Redirection(), native=True)
    assert isinstance(found, outcome)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("first", ["OSM", "ours"])
def test_a_pod_with_osms_proxy_is_refused(first: str, *, native: bool) -> None:
    """Whichever injector was asked first: the other is seen when ours is asked again."""
    cluster = replace(CLUSTER, mesh=TAKING_OVER, native=native)
    home = namespace(labels=TAKEN)
    document = pod()
    if first == "ours":
        ours = answer(document, home=home, cluster=cluster)
        assert isinstance(ours, Injected)
        document = ours.pod
    found = decide(read(with_former_proxy(document)), home, TAKING_OVER, Redirection(), native=True)
    assert isinstance(found, Refuse)
    assert "proxy of OSM's" in found.message and "openservicemesh.io/ignore: true" in found.message


def with_former_proxy(document: Document) -> Document:
    """As OSM's injector leaves it."""
    spec = document["spec"]
    assert isinstance(spec, dict)
    volume = {"name": "envoy-bootstrap-config-volume", "secret": {"secretName": "s"}}
    more = {
        "initContainers": [*spec.get("initContainers", ()), container("osm-init")],
        "containers": [*spec["containers"], container("envoy")],
        "volumes": [*spec.get("volumes", ()), volume],
    }
    return {**document, "spec": {**spec, **more}}
