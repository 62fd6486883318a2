"""The pod as it shall be, and what must not change of it."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.inject.pods import (
    CLUSTER,
    INJECTION,
    METRICS,
    answer,
    bootstrap,
    container,
    namespace,
    pod,
    with_spec,
)
from tests.unit.inject.test_patch import applied, as_text

from osm.core.api.config import Resources, SidecarSpec
from osm.core.envoy import token
from osm.core.inject import sidecar
from osm.core.inject.injection import Injected
from osm.core.inject.pod import Document
from osm.core.inject.verdict import Leave, Refuse
from osm.core.model.probe import Probes
from osm.core.model.redirection import Redirection

GOLDEN = Path(__file__).parent / "golden"
OLD = msgspec.structs.replace(CLUSTER, native=False)
METERED = namespace(annotations={INJECTION: "enabled", METRICS: "Yes"})
BOOKSTORE = pod(
    container(
        "bookstore",
        ports=[{"name": "web", "containerPort": 14001}],
        livenessProbe={"httpGet": {"path": "/live", "port": "web"}, "timeoutSeconds": 5},
        readinessProbe={"tcpSocket": {"port": 14001}},
        startupProbe={"exec": {"command": ["/bin/true"]}},
    ),
    initContainers=[container("migrate")],
    volumes=[{"name": "data", "emptyDir": {}}],
)


def injected(document: Document, **more: object) -> Injected:
    found = answer(document, **more)  # type: ignore[arg-type]
    assert isinstance(found, Injected), found
    assert as_text(applied(document, found.patch)) == as_text(found.pod)
    return found


def at(document: object, *path: str | int) -> object:
    """The part of a document, or None; an item of a list by its place or its name."""
    for part in path:
        if isinstance(document, list) and isinstance(part, str):
            document = next((item for item in document if item["name"] == part), None)
        elif isinstance(document, list) and isinstance(part, int):
            document = document[part]
        else:
            document = document.get(part) if isinstance(document, Mapping) else None
    return document


def names(document: Document, field: str) -> list[object]:
    found = at(document, "spec", field)
    return [item["name"] for item in found] if isinstance(found, list) else []


class Wide(yaml.SafeDumper):
    """Texts of several lines as they are, and nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (its signature)
        return True


Wide.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


@pytest.mark.parametrize(("name", "cluster"), [("native", CLUSTER), ("old", OLD)])
def test_golden_pod(name: str, cluster: object, golden: Callable[[Path, str], None]) -> None:
    """Read these: that is what injection does."""
    config = SidecarSpec(
        resources=Resources(limits={"memory": "128Mi"}, requests={"cpu": "100m", "memory": "32Mi"})
    )
    found = injected(
        BOOKSTORE,
        home=METERED,
        cluster=cluster,
        config=config,
        uuid="7d1ad1d4-8f2c-4b38-9d54-2f2a2c6f2f0e",
        redirection=Redirection(outbound_ports=(5432,)),
    )
    text = yaml.dump(found.pod, Dumper=Wide, sort_keys=False, width=110)
    golden(GOLDEN / f"{name}.yaml", text)


def test_a_native_proxy_starts_before_everything_but_the_redirection() -> None:
    found = injected(BOOKSTORE).pod
    assert names(found, "initContainers") == ["osm-init", "envoy", "migrate"]
    assert names(found, "containers") == ["bookstore"]
    proxy = ("spec", "initContainers", "envoy")
    assert at(found, *proxy, "restartPolicy") == "Always"
    assert at(found, *proxy, "startupProbe", "httpGet") == {
        "path": "/osm-proxy-ready",
        "port": 15904,
    }
    assert at(found, "metadata", "annotations") is None


def test_on_an_old_cluster_the_proxy_is_the_first_container_and_holds_the_others() -> None:
    found = injected(BOOKSTORE, cluster=OLD).pod
    assert names(found, "initContainers") == ["migrate", "osm-init"]
    assert names(found, "containers") == ["envoy", "bookstore"]
    assert at(found, "spec", "containers", "envoy", "restartPolicy") is None
    command = at(found, "spec", "containers", "envoy", "lifecycle", "postStart", "exec", "command")
    assert isinstance(command, list)
    assert "15904" in command[-1]
    # `kubectl logs` goes on to mean the application.
    chosen = at(found, "metadata", "annotations", "kubectl.kubernetes.io/default-container")
    assert chosen == "bookstore"


def test_whoever_has_chosen_a_default_container_keeps_it() -> None:
    key = "kubectl.kubernetes.io/default-container"
    found = injected(pod(container("a"), container("b"), annotations={key: "b"}), cluster=OLD)
    assert at(found.pod, "metadata", "annotations", key) == "b"


def test_every_proxy_of_a_pod_with_a_proxy_is_ready_when_its_proxy_is() -> None:
    """Trap 31: a proxy that is gone or not there yet makes its pod unready."""
    for cluster, field in ((CLUSTER, "initContainers"), (OLD, "containers")):
        found = injected(pod(), cluster=cluster).pod
        probe = at(found, "spec", field, "envoy", "readinessProbe", "httpGet")
        assert probe == {"path": "/osm-proxy-ready", "port": 15904}


@pytest.mark.parametrize("cluster", [CLUSTER, OLD])
def test_a_pod_with_its_proxy_is_left_alone(cluster: object) -> None:
    """Also when another webhook made the API server ask again, or somebody copied the pod."""
    once = injected(BOOKSTORE, cluster=cluster, home=METERED, uuid="u").pod
    again = answer(once, cluster=CLUSTER, home=METERED, uuid="v")
    assert isinstance(again, Leave)
    assert "already" in again.reason


def test_metrics_are_announced_where_the_namespace_says_so() -> None:
    found = injected(BOOKSTORE, home=METERED).pod
    assert at(found, "metadata", "annotations") == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "15010",
        "prometheus.io/path": "/stats/prometheus",
    }
    off = namespace(annotations={INJECTION: "enabled", METRICS: "no"})
    assert at(injected(BOOKSTORE, home=off).pod, "metadata", "annotations") is None


def said(document: Document) -> dict[str, str]:
    """The arguments of the proxy, each with what follows it."""
    arguments = at(document, "spec", "initContainers", "envoy", "args")
    assert isinstance(arguments, list)
    return dict(itertools.pairwise(arguments))


def test_mesh_config_says_what_the_proxy_is_like() -> None:
    config = SidecarSpec(
        enable_privileged_init_container=True,
        log_level="debug",
        envoy_image="mine/envoy:2",
        init_container_image="mine/init:2",
        local_proxy_mode="PodIP",
        resources=Resources(limits={"cpu": 2}),
    )
    found = injected(pod(), config=config).pod
    proxy, redirect = (at(found, "spec", "initContainers", name) for name in ("envoy", "osm-init"))
    assert (at(proxy, "image"), at(redirect, "image")) == ("mine/envoy:2", "mine/init:2")
    assert said(found)["--log-level"] == "debug"
    assert at(proxy, "resources") == {"limits": {"cpu": 2}}
    assert at(redirect, "securityContext", "privileged") is True
    assert at(redirect, "securityContext", "allowPrivilegeEscalation") is None
    assert "dnat to $(POD_IP)" in str(at(redirect, "command", 1))


def test_no_shell_reads_what_people_wrote() -> None:
    """The redirection is one program with one argument, and Kubernetes finds no variables in paths."""
    probe = {"httpGet": {"path": "/$(POD_IP)", "port": 1}}

    def start(probes: Probes) -> str:
        return probes.http[0].path

    found = injected(pod(container(livenessProbe=probe)), start=start).pod
    command = at(found, "spec", "initContainers", "osm-init", "command")
    assert isinstance(command, list)
    assert command[0] == "nft" and len(command) == 2
    assert at(found, "spec", "initContainers", "osm-init", "args") is None
    assert at(found, "spec", "initContainers", "envoy", "args", -1) == "/$$(POD_IP)"


def test_the_proxy_may_do_little_and_the_redirection_one_thing() -> None:
    found = injected(pod()).pod
    proxy = at(found, "spec", "initContainers", "envoy", "securityContext")
    assert proxy == {
        "runAsUser": 1500,
        "runAsGroup": 1500,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    redirect = at(found, "spec", "initContainers", "osm-init", "securityContext")
    assert at(redirect, "capabilities") == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert at(redirect, "allowPrivilegeEscalation") is False


def test_its_token_lies_where_envoy_looks_for_it() -> None:
    volume = at(injected(pod()).pod, "spec", "volumes", "osm-proxy-identity")
    assert at(volume, "projected", "sources") == [
        {
            "serviceAccountToken": {
                "audience": "osm.osm-system",
                "expirationSeconds": 3600,
                "path": token.VOLUME_TOKEN,
            }
        },
        {"configMap": {"name": "osm-proxy"}},
    ]
    assert sidecar.TOKEN_FILE == token.VOLUME_TOKEN


def test_nothing_in_the_pod_is_a_key_or_a_secret() -> None:
    assert "secret" not in as_text(injected(BOOKSTORE).pod).replace(sidecar.DIRECTORY, "").lower()


def test_a_hundred_containers_with_all_probes() -> None:
    probe = {"httpGet": {"port": 80}}
    kinds = ("livenessProbe", "readinessProbe", "startupProbe")
    crowd = pod(*(container(f"c{n}", **dict.fromkeys(kinds, probe)) for n in range(100)))
    found = injected(crowd)
    added = [step.path for step in found.patch if step.op == "add" and step.path.count("/") == 2]
    assert sorted(added) == ["/spec/initContainers", "/spec/volumes"]
    assert at(found.pod, "spec", "initContainers", "envoy", "args", -1) == '{"probes": 300}'


def test_more_probes_than_an_argument_can_hold_are_refused() -> None:
    crowd = pod(container(livenessProbe={"tcpSocket": {"port": 80}}))
    found = answer(crowd, start=lambda _: "x" * (128 * 1024))
    assert isinstance(found, Refuse)
    assert "1 probes" in found.message


EXTRA = st.dictionaries(
    st.sampled_from(["tolerations", "affinity", "priority", "hostAliases", "schedulerName"]),
    st.recursive(
        st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ),
)
PROBES = st.dictionaries(
    st.sampled_from(["livenessProbe", "readinessProbe", "startupProbe"]),
    st.sampled_from(
        [
            {"exec": {"command": ["true"]}},
            {"httpGet": {"port": 80, "path": "/x"}, "periodSeconds": 3},
            {"httpGet": {"port": "web"}},
            {"tcpSocket": {"port": 80}, "timeoutSeconds": 3},
            {"grpc": {"port": 9000}},
        ]
    ),
)
CONTAINERS = st.lists(st.tuples(st.sampled_from("abcdef"), PROBES), min_size=1, max_size=5)


@given(CONTAINERS, CONTAINERS, EXTRA, st.booleans(), st.booleans())
def test_injection_changes_nothing_that_it_need_not(
    some: list[tuple[str, dict[str, object]]],
    others: list[tuple[str, dict[str, object]]],
    extra: dict[str, object],
    native: bool,  # noqa: FBT001 (drawn)
    metered: bool,  # noqa: FBT001 (drawn)
) -> None:
    before = with_spec(
        pod(
            *(container(f"{name}{n}", **probes) for n, (name, probes) in enumerate(some)),
            initContainers=[container(f"i{name}{n}", **p) for n, (name, p) in enumerate(others)],
        ),
        extra,
    )
    found = injected(
        before, cluster=CLUSTER if native else OLD, home=METERED if metered else namespace()
    )
    assert as_text(without_proxy(found.pod)) == as_text(without_proxy(before))
    allowed = ("/spec/initContainers", "/spec/containers", "/spec/volumes", "/metadata/annotations")
    assert [step.path for step in found.patch if not step.path.startswith(allowed)] == []


def without_proxy(document: Document) -> Document:
    """The pod without what injection adds, and without actions of probes."""
    spec = dict(document["spec"])  # type: ignore[call-overload]
    metadata = dict(document["metadata"])  # type: ignore[call-overload]
    metadata.pop("annotations", None)
    spec["volumes"] = [v for v in spec.get("volumes", ()) if v["name"] != "osm-proxy-identity"]
    for field in ("containers", "initContainers"):
        kept = [c for c in spec[field] if c["name"] not in ("envoy", "osm-init")]
        spec[field] = [_without_actions(each) for each in kept]
    return {**document, "spec": spec, "metadata": metadata}


def _without_actions(each: Mapping[str, object]) -> Mapping[str, object]:
    actions = ("httpGet", "tcpSocket")
    return {
        field: {k: v for k, v in value.items() if k not in actions}
        if field.endswith("Probe") and isinstance(value, Mapping)
        else value
        for field, value in each.items()
    }


def test_the_bootstrap_is_asked_for_once_and_only_for_who_gets_one() -> None:
    asked: list[Probes] = []

    def start(probes: Probes) -> str:
        asked.append(probes)
        return bootstrap(probes)

    answer(pod(hostNetwork=True), start=start)
    answer(pod(annotations={INJECTION: "perhaps"}), start=start)
    assert asked == []
    answer(pod(), start=start)
    assert asked == [Probes()]


@pytest.mark.parametrize(
    ("limits", "threads"),
    [({}, "2"), ({"cpu": "500m"}, "1"), ({"cpu": 1}, "1"), ({"cpu": "2500m"}, "3")],
    ids=["no limit", "half a core", "one", "two and a half"],
)
def test_a_proxy_has_as_many_threads_as_may_run(
    limits: dict[str, str | int | float], threads: str
) -> None:
    config = SidecarSpec(resources=Resources(limits=limits))
    assert said(injected(pod(), config=config).pod)["--concurrency"] == threads
