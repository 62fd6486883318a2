"""The manifests and scenarios: what they hold, and whom they let call whom."""

import itertools
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from osm import __version__
from osm.core.compile.local_annotations import FORWARD
from osm.demo.scenario import (
    APPS,
    DEFAULT_SCENARIO,
    MANIFESTS,
    NAMED_MANIFESTS,
    SCENARIOS,
    copy_scenario,
    demo_manifest,
    flat_name,
    next_steps,
    read_manifest,
    scenario,
)
from osm.errors import UsageError

Object = dict[str, Any]

FILES = sorted(str(path.relative_to(MANIFESTS)) for path in MANIFESTS.rglob("*.yaml"))
WITH_V2 = (*APPS, "apps-v2/bookstore-v2.yaml")
POLICIES = "access/traffic-access-v1.yaml"
THIEF_TOO = "access/traffic-access-v1-allow-bookthief.yaml"


def objects(*files: str) -> list[Object]:
    return [item for file in files for item in yaml.safe_load_all(read_manifest(file))]


def of_kind(kind: str, found: Iterable[Object]) -> list[Object]:
    return [item for item in found if item["kind"] == kind]


def key(item: Object) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


def workloads(found: Iterable[Object]) -> list[Object]:
    return [item for item in found if item["kind"] in ("Deployment", "StatefulSet")]


def labels_of(workload: Object) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def allowed(found: Iterable[Object]) -> set[tuple[str, str]]:
    """Who may call whom, as pairs of `namespace/service account`."""
    return {
        (
            f"{source['namespace']}/{source['name']}",
            f"{target['spec']['destination']['namespace']}/{target['spec']['destination']['name']}",
        )
        for target in of_kind("TrafficTarget", found)
        for source in target["spec"]["sources"]
    }


MATRIX = {
    ("bookbuyer/bookbuyer", "bookstore/bookstore"),
    ("bookstore/bookstore", "bookwarehouse/bookwarehouse"),
    ("bookwarehouse/bookwarehouse", "bookwarehouse/database"),
}
MATRIX_OF_V2 = {
    ("bookbuyer/bookbuyer", "bookstore/bookstore-v2"),
    ("bookstore/bookstore-v2", "bookwarehouse/bookwarehouse"),
}


def test_the_policies_allow_exactly_the_access_matrix() -> None:
    assert allowed(objects(POLICIES)) == MATRIX
    assert allowed(objects(*APPS)) == set()


def test_the_thiefs_policy_adds_the_thief_and_nothing_else() -> None:
    before, after = objects(POLICIES), objects(THIEF_TOO)
    assert allowed(after) - allowed(before) == {("bookthief/bookthief", "bookstore/bookstore")}
    assert list(map(key, before)) == list(map(key, after))
    for item in after:
        if key(item) == ("TrafficTarget", "bookstore", "bookstore"):
            item["spec"]["sources"].pop()
    assert before == after


def test_the_comment_that_lets_the_thief_in_does_so_when_its_marks_are_taken_away() -> None:
    text = read_manifest(POLICIES)
    marked = [
        line for line in text.splitlines() if line.startswith("    # ") and "Take" not in line
    ]
    assert len(marked) == 3
    for line in marked:
        text = text.replace(line, line.replace("# ", "", 1))
    assert list(yaml.safe_load_all(text)) == objects(THIEF_TOO)


def test_version_2_is_called_and_restocks_by_the_same_routes() -> None:
    found = objects("apps-v2/bookstore-v2.yaml")
    assert allowed(found) == MATRIX_OF_V2
    first = of_kind("TrafficTarget", objects(POLICIES))[:2]
    second = of_kind("TrafficTarget", found)
    assert [each["spec"]["rules"] for each in second] == [each["spec"]["rules"] for each in first]


def test_every_rule_names_routes_and_matches_that_exist() -> None:
    found = objects(POLICIES, "apps-v2/bookstore-v2.yaml")
    routes = {key(item): item for item in found if item["kind"].endswith(("Group", "Route"))}
    for target in of_kind("TrafficTarget", found):
        for rule in target["spec"]["rules"]:
            route = routes[rule["kind"], target["metadata"]["namespace"], rule["name"]]
            if rule["kind"] == "HTTPRouteGroup":
                names = {match["name"] for match in route["spec"]["matches"]}
                assert rule["matches"]
                assert set(rule["matches"]) <= names


def test_the_routes_are_those_of_osm() -> None:
    routes = {key(item): item["spec"] for item in objects(POLICIES)}
    browse, buy = routes["HTTPRouteGroup", "bookstore", "bookstore-service-routes"]["matches"]
    assert (browse["pathRegex"], browse["methods"]) == ("/books-bought", ["GET"])
    assert browse["headers"] == [{"user-agent": ".*-http-client/*.*"}, {"client-app": "bookbuyer"}]
    assert (buy["pathRegex"], buy["methods"]) == (".*a-book.*new", ["GET"])
    assert "headers" not in buy
    (restock,) = routes["HTTPRouteGroup", "bookwarehouse", "bookwarehouse-service-routes"][
        "matches"
    ]
    assert restock == {"name": "restock-books", "methods": ["POST"]}
    assert routes["TCPRoute", "bookwarehouse", "database"]["matches"] == {"ports": [6379]}


def test_all_policies_name_service_accounts_that_exist() -> None:
    found = objects(*WITH_V2, THIEF_TOO)
    accounts = {f"{item[1]}/{item[2]}" for item in map(key, found) if item[0] == "ServiceAccount"}
    named = set(itertools.chain.from_iterable(allowed(found)))
    used = {
        f"{item['metadata']['namespace']}/{item['spec']['template']['spec']['serviceAccountName']}"
        for item in workloads(found)
    }
    assert named == used == accounts


@pytest.mark.parametrize("file", FILES)
def test_a_manifest_has_the_form_of_kubernetes_objects(file: str) -> None:
    found = objects(file)
    assert found
    for item in found:
        assert item["apiVersion"]
        assert item["kind"]
        assert item["metadata"]["name"]
        assert ("namespace" in item["metadata"]) is (item["kind"] != "Namespace")
    assert len(set(map(key, found))) == len(found)
    assert read_manifest(file).startswith("# ")


def test_the_versions_of_the_apis_are_those_that_osm_serves() -> None:
    versions = {item["kind"]: item["apiVersion"] for file in FILES for item in objects(file)}
    assert versions == {
        "Namespace": "v1",
        "ServiceAccount": "v1",
        "Service": "v1",
        "Deployment": "apps/v1",
        "StatefulSet": "apps/v1",
        "TrafficTarget": "access.smi-spec.io/v1alpha3",
        "HTTPRouteGroup": "specs.smi-spec.io/v1alpha4",
        "TCPRoute": "specs.smi-spec.io/v1alpha4",
        "TrafficSplit": "split.smi-spec.io/v1alpha2",
        "MeshConfig": "config.openservicemesh.io/v1alpha2",
    }


def test_the_namespaces_belong_to_the_mesh_and_hold_everything() -> None:
    found = objects(*WITH_V2, POLICIES)
    namespaces = of_kind("Namespace", found)
    names = {item["metadata"]["name"] for item in namespaces}
    assert names == {"bookbuyer", "bookthief", "bookstore", "bookwarehouse"}
    for item in namespaces:
        assert item["metadata"]["labels"] == {"openservicemesh.io/monitored-by": "osm"}
        injection = item["metadata"]["annotations"]
        assert injection == {"openservicemesh.io/sidecar-injection": "enabled"}
    assert {item[1] for item in map(key, found)} - {""} == names


def test_each_service_selects_what_its_name_says() -> None:
    found = objects(*WITH_V2)
    selected = {
        service["metadata"]["name"]: {
            item["metadata"]["name"]
            for item in workloads(found)
            if item["metadata"]["namespace"] == service["metadata"]["namespace"]
            and selects(service["spec"]["selector"], labels_of(item))
        }
        for service in of_kind("Service", found)
    }
    assert selected == {
        "bookstore": {"bookstore", "bookstore-v2"},
        "bookstore-v1": {"bookstore"},
        "bookstore-v2": {"bookstore-v2"},
        "bookwarehouse": {"bookwarehouse"},
        "database": {"database"},
    }


def test_the_database_is_headless_tcp_and_a_statefulset() -> None:
    found = {item["kind"]: item.get("spec", {}) for item in objects("apps/database.yaml")}
    service, stateful = found["Service"], found["StatefulSet"]
    assert service["clusterIP"] == "None"
    assert [(port["port"], port["appProtocol"]) for port in service["ports"]] == [(6379, "tcp")]
    assert stateful["serviceName"] == "database"


def test_each_workload_selects_its_own_pods_runs_our_program_and_has_a_readiness_probe() -> None:
    for item in workloads(objects(*WITH_V2)):
        labels = labels_of(item)
        assert selects(item["spec"]["selector"]["matchLabels"], labels)
        (container,) = item["spec"]["template"]["spec"]["containers"]
        program = labels["app"]
        assert container["image"] == f"openservicemesh/osm-demo:{__version__}"
        assert container["command"] == ["python", "-m", f"osm.demo.{program}"]
        assert (MANIFESTS.parent / f"{program}.py").is_file()
        flag, port = container["args"]
        assert flag == "--port"
        assert [each["containerPort"] for each in container["ports"]] == [int(port)]
        probe = container["readinessProbe"]
        assert (probe.get("httpGet") or probe["tcpSocket"])["port"] == int(port)
        for variable in container.get("env", []):
            assert isinstance(variable["value"], str)


@pytest.mark.parametrize(
    ("file", "weights"),
    [
        ("split/traffic-split-v1.yaml", {"bookstore-v1": 100, "bookstore-v2": 0}),
        ("split/traffic-split-50-50.yaml", {"bookstore-v1": 50, "bookstore-v2": 50}),
        ("split/traffic-split-v2.yaml", {"bookstore-v1": 0, "bookstore-v2": 100}),
    ],
)
def test_a_split_divides_the_root_service(file: str, weights: dict[str, int]) -> None:
    (split,) = objects(file)
    assert key(split) == ("TrafficSplit", "bookstore", "bookstore-split")
    assert split["spec"]["service"] == "bookstore.bookstore"
    assert {leaf["service"]: leaf["weight"] for leaf in split["spec"]["backends"]} == weights


@pytest.mark.parametrize(("name", "permissive"), [("smi", False), ("permissive", True)])
def test_the_modes_are_the_same_object(name: str, permissive: bool) -> None:  # noqa: FBT001
    (config,) = yaml.safe_load_all(demo_manifest(name))
    assert key(config) == ("MeshConfig", "osm-system", "osm-mesh-config")
    assert config["spec"]["traffic"]["enablePermissiveTrafficPolicyMode"] is permissive


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_defines_every_object_once_and_is_copied_whole(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "mesh" / "mine.yaml").parent.mkdir()
    (tmp_path / "mesh" / "mine.yaml").write_text("mine")
    written = copy_scenario(name, tmp_path / "mesh")
    copied = [item for path in written for item in yaml.safe_load_all(path.read_text())]
    assert copied == objects(*scenario(name))
    assert len(set(map(key, copied))) == len(copied)
    assert {path.name for path in (tmp_path / "mesh").iterdir()} == {
        "mine.yaml",
        *(flat_name(file) for file in scenario(name)),
    }


@pytest.mark.parametrize(
    ("name", "edges", "permissive"),
    [
        ("empty", set(), False),
        ("permissive", set(), True),
        ("policies", MATRIX, False),
        ("split", MATRIX | MATRIX_OF_V2, False),
    ],
)
def test_a_scenario_starts_with_its_policies(
    name: str,
    edges: set[tuple[str, str]],
    permissive: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = objects(*scenario(name))
    assert allowed(found) == edges
    (config,) = of_kind("MeshConfig", found)
    assert config["spec"]["traffic"]["enablePermissiveTrafficPolicyMode"] is permissive
    assert bool(of_kind("TrafficSplit", found)) is (name == "split")
    assert {item["metadata"]["name"] for item in workloads(found)} >= {"bookbuyer", "database"}


def test_files_with_one_flat_name_hold_the_same_objects() -> None:
    for left, right in itertools.combinations(FILES, 2):
        same = set(map(key, objects(left))) & set(map(key, objects(right)))
        assert bool(same) is (flat_name(left) == flat_name(right)), (left, right)


def test_every_file_is_used_and_the_default_scenario_exists() -> None:
    used = {file for files in SCENARIOS.values() for file in files} | set(NAMED_MANIFESTS.values())
    assert used == set(FILES)
    assert DEFAULT_SCENARIO in SCENARIOS


def test_the_pages_are_where_osm_had_them() -> None:
    pages = {
        template["metadata"]["annotations"][FORWARD]: item["metadata"]["name"]
        for item in workloads(objects(*WITH_V2))
        for template in [item["spec"]["template"]]
        if FORWARD in template["metadata"].get("annotations", {})
    }
    assert {int(ports.partition(":")[0]): app for ports, app in pages.items()} == {
        8080: "bookbuyer",
        8081: "bookstore",
        8082: "bookstore-v2",
        8083: "bookthief",
        8084: "bookwarehouse",
    }
    assert {ports.partition(":")[2] for ports in pages} == {"14001"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_next_step_is_one_command_with_manifests_that_exist(name: str) -> None:
    steps = next_steps(name)
    assert len(steps) >= 5
    for step in steps:
        words = shlex.split(step.command)
        assert words[0] == "osm"
        assert "\n" not in step.command
        assert step.watch
        if words[1] == "apply":
            assert words[2] == "-f"
            assert demo_manifest(words[3].removeprefix("demo:"))
    assert len({step.command for step in steps}) >= len(steps) - 1


def test_no_flow_tries_a_split_before_its_second_version() -> None:
    for name, files in SCENARIOS.items():
        commands = [step.command for step in next_steps(name)]
        splits = [index for index, command in enumerate(commands) if "demo:split" in command]
        assert splits
        if "apps-v2/bookstore-v2.yaml" not in files:
            assert commands.index("osm apply -f demo:bookstore-v2") < splits[0]


@pytest.mark.parametrize(
    ("ask", "choices"),
    [(scenario, SCENARIOS), (next_steps, SCENARIOS), (demo_manifest, NAMED_MANIFESTS)],
)
def test_an_unknown_name_is_refused_with_the_choices(
    ask: Callable[[str], object], choices: Iterable[str]
) -> None:
    with pytest.raises(UsageError, match="nosuch") as refused:
        ask("nosuch")
    assert all(name in refused.value.hint for name in choices)
