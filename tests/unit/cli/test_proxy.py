"""What `osm proxy` prints of the proxies of a mesh, and what it exits with."""

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.unit.cli.calls import Mesh, Run, mesh_after

from osm.core.explain.view import MeshView
from osm.core.model.origin import Finding, Severity
from osm.core.model.workload import ProxyKind
from osm.ports import ExpectedResource
from osm.testing.bookstore_proxies import expected_resources
from osm.testing.proxy_dump import config_dump

StartMesh = Callable[..., Mesh]
HEADERS = [
    "NAMESPACE", "NAME", "STATUS", "HELD", "SIZE", "WAITS", "CONNECTED", "VERSION",
    "CERTIFICATE EXPIRES",
]  # fmt: skip


def changed(name: str, **changes: object) -> Callable[[MeshView], MeshView]:
    """Return the view with a change to one proxy."""

    def change(view: MeshView) -> MeshView:
        proxies = [
            msgspec.structs.replace(each, **changes) if each.name == name else each
            for each in view.proxies
        ]
        return msgspec.structs.replace(view, proxies=tuple(proxies))

    return change


def cells(line: str) -> list[str]:
    return re.split(r"  +", line)


def test_list_shows_which_proxies_are_in_sync(shared_mesh: Mesh, run: Run) -> None:
    lines = run("proxy", "list").out.splitlines()
    assert cells(lines[0]) == HEADERS
    states = {line.split()[1]: line.split()[2:6] for line in lines[1:]}
    assert states["bookstore-v2"] == ["Refused", "15", "10KiB", "-"]
    assert states["bookbuyer"] == ["InSync", "15", "10KiB", "-"]
    assert len(lines) == 7


def test_list_shows_for_how_long_a_proxy_owes_an_answer(start_mesh: StartMesh, run: Run) -> None:
    def owing(view: MeshView) -> MeshView:
        kinds = [
            msgspec.structs.replace(kind, pending=pending, sent_ago_s=ago)
            for kind, pending, ago in zip(
                view.proxies[0].types, (1, 0, 2), (4.25, 90, 3.5), strict=False
            )
        ]
        return changed("bookbuyer", in_sync=False, types=tuple(kinds))(view)

    start_mesh(api=mesh_after(42, owing))
    assert run("proxy", "list").out.splitlines()[1].split()[2:6] == [
        "Pending",
        "10",
        "6.8KiB",
        "4.2s",
    ]
    told = run("status").out
    assert "Slowest:      bookbuyer/bookbuyer has owed an answer (CDS) for 4.2s\n" in told


def test_what_was_refused_once_and_mended_is_no_refusal(start_mesh: StartMesh, run: Run) -> None:
    def mended(view: MeshView) -> MeshView:
        kinds = tuple(msgspec.structs.replace(k, last_error="") for k in view.proxies[2].types)
        return changed("bookstore-v2", in_sync=True, types=kinds)(view)

    start_mesh(api=mesh_after(42, mended))
    assert "Refused" not in run("proxy", "list").out
    assert "refused" not in run("proxy", "list", "-o", "wide").out
    assert "proxy bookstore" not in run("status").out
    assert run("proxy", "status", "bookstore-v2").code == 0


def test_list_wide_has_a_column_for_each_type(shared_mesh: Mesh, run: Run) -> None:
    lines = run("proxy", "list", "-n", "bookstore", "-o", "wide").out.splitlines()
    assert len(lines) == 3
    assert cells(lines[0]) == [*HEADERS, "CDS", "EDS", "SDS", "LDS", "RDS", "IDENTITY"]
    assert "3 (refused)" in lines[2]


def test_list_is_there_for_programs(shared_mesh: Mesh, run: Run) -> None:
    items = json.loads(run("proxy", "list", "-o", "json").out)["items"]
    assert {each["name"]: each["inSync"] for each in items}["bookstore-v2"] is False
    assert items[0]["types"][0]["acknowledgedAgoS"] == pytest.approx(21, abs=0.1)
    assert run("proxy", "list", "-o", "name", "-n", "bookbuyer").out == "bookbuyer/bookbuyer\n"


def test_status_of_a_proxy_has_a_row_for_each_type(shared_mesh: Mesh, run: Run) -> None:
    result = run("proxy", "status", "bookbuyer")
    assert (result.code, result.err) == (0, "")
    head, _, rows = result.out.partition("\n\n")
    assert "Proxy:       bookbuyer/bookbuyer\nStatus:      InSync\nConnected:   for 40s\n" in head
    assert [cells(line) for line in rows.splitlines()] == [
        ["TYPE", "ASKED FOR", "HELD", "SIZE", "SENT", "ACKNOWLEDGED", "REFUSED", "PENDING",
         "LAST SENT", "LAST ACKNOWLEDGED"],
        ["CDS", "own + 4", "4", "2.7KiB", "6", "6", "0", "0", "21s ago", "20s ago"],
        ["EDS", "3", "3", "2.1KiB", "9", "9", "0", "0", "21s ago", "20s ago"],
        ["SDS", "3", "3", "2.1KiB", "3", "3", "0", "0", "21s ago", "20s ago"],
        ["LDS", "own", "2", "1.4KiB", "2", "2", "0", "0", "21s ago", "20s ago"],
        ["RDS", "3", "3", "2.1KiB", "8", "8", "0", "0", "21s ago", "20s ago"],
    ]  # fmt: skip


def test_status_of_a_proxy_that_refused_names_the_object_at_fault(
    shared_mesh: Mesh, run: Run
) -> None:
    result = run("proxy", "status", "bookstore/bookstore-v2")
    assert result.code == 1
    refusal = result.out.partition("\n\nRefused, so that the last good configuration stays:\n")[2]
    assert refusal.startswith("  RDS: Proto constraint validation failed")
    assert (
        "\n    from HTTPRouteGroup bookstore/bookstore-service-routes spec.matches[2]\n" in refusal
    )
    why = "refused its RDS configuration, because of HTTPRouteGroup bookstore/bookstore-service"
    assert why in run("status").out


def test_proxies_that_refuse_the_same_share_a_line_of_status(
    start_mesh: StartMesh, run: Run
) -> None:
    def all_refuse(view: MeshView) -> MeshView:
        refusing = next(each for each in view.proxies if each.name == "bookstore-v2")
        proxies = [
            msgspec.structs.replace(each, types=refusing.types, in_sync=False)
            for each in view.proxies
        ]
        blamed = Finding("OSM902", Severity.ERROR, None, "proxy x refused what this says")
        findings = (*view.findings, blamed)
        return msgspec.structs.replace(view, proxies=tuple(proxies), findings=findings)

    start_mesh(api=mesh_after(42, all_refuse))
    told = run("status").out
    assert told.count("refused") == 2  # the line with the count of them, and this one
    assert (
        "  6 proxies (bookbuyer/bookbuyer, bookstore/bookstore, bookstore/bookstore-v2 and 3 more) "
        "refused their RDS configuration, because of HTTPRouteGroup "
    ) in told


def test_status_of_a_proxy_that_is_away_says_so(start_mesh: StartMesh, run: Run) -> None:
    start_mesh(api=mesh_after(42, changed("bookbuyer", connected=False, in_sync=False, types=())))
    result = run("proxy", "status", "bookbuyer")
    assert result.code == 1
    assert "Status:      Disconnected\nConnected:   no\n" in result.out
    assert "TYPE" not in result.out


def bare(view: MeshView) -> MeshView:
    """The view with two pods that have no proxy."""
    names = ("bookbuyer", "bookthief")
    workloads = [
        msgspec.structs.replace(each, proxy=ProxyKind.NONE) if each.name in names else each
        for each in view.workloads
    ]
    proxies = [each for each in view.proxies if each.name not in names]
    return msgspec.structs.replace(view, workloads=tuple(workloads), proxies=tuple(proxies))


def test_pods_without_a_proxy_are_named(start_mesh: StartMesh, run: Run) -> None:
    start_mesh(api=mesh_after(42, bare))
    bookbuyer, both = "bookbuyer/bookbuyer", "bookbuyer/bookbuyer, bookthief/bookthief"
    said = f"{both} have no proxy of this mesh"
    listed = run("proxy", "list")
    assert listed.err == f"{said}: `osm analyze` says why.\n"
    assert "bookbuyer" not in listed.out and len(listed.out.splitlines()) == 5
    assert run("proxy", "list", "-n", "bookstore").err == ""
    assert run("proxy", "list", "-o", "json").err == ""
    assert re.search(rf"Proxies: +3 of 4 in sync \({said}\)", run("status").out)
    (row,) = (line for line in run("get", "pods", "-A").out.splitlines() if " bookbuyer " in line)
    assert "1/1" in cells(row)
    for verb in ("status", "diff"):
        one = run("proxy", verb, "bookbuyer")
        assert one.code != 0 and f"{bookbuyer} has no proxy of this mesh." in one.err, verb


def test_status_of_a_proxy_is_there_for_programs(shared_mesh: Mesh, run: Run) -> None:
    result = run("proxy", "status", "bookbuyer", "-o", "json")
    (proxy,) = json.loads(result.out)["items"]
    assert proxy["types"][0]["wildcard"] is True
    assert proxy["types"][0]["bytes"] == 2800
    assert yaml.safe_load(run("proxy", "status", "bookbuyer", "-o", "yaml").out)["items"] == [proxy]


def test_diff_of_a_proxy_that_runs_what_it_should_exits_with_0(shared_mesh: Mesh, run: Run) -> None:
    said = (
        "bookbuyer/bookbuyer: in sync, 9 resources as they should be "
        "(5 compared by version, 4 by content)\n"
    )
    assert run("proxy", "diff", "bookbuyer") == (0, said, "")


def test_diff_shows_what_differs_and_why(shared_mesh: Mesh, run: Run) -> None:
    result = run("proxy", "diff", "bookstore/bookstore-v2")
    assert (result.code, result.err) == (1, "")
    lines = result.out.splitlines()
    assert lines[0] == (
        "bookstore/bookstore-v2: 1 difference, 8 resources as they should be "
        "(4 compared by version, 4 by content)"
    )
    assert lines[2] == (
        "  different routes rds-inbound.14001: runs version 0000000000000000, "
        "should run 0000000000000007"
    )
    assert lines[3:5] == ["    --- running", "    +++ expected"]
    assert "    -  routes: []" in lines
    assert "    +        regex: /books-bought" in lines
    assert lines[-2].startswith("  It refused RDS: Proto constraint validation failed")
    assert lines[-1].endswith(
        "from HTTPRouteGroup bookstore/bookstore-service-routes spec.matches[2]"
    )


def without(*kinds: str) -> Callable[[str], tuple[ExpectedResource, ...]]:
    return lambda name: tuple(each for each in expected_resources(name) if each.type not in kinds)


def test_diff_shows_what_is_missing_and_what_is_too_much(start_mesh: StartMesh, run: Run) -> None:
    mesh = start_mesh()
    stale = ExpectedResource("CDS", "bookstore/gone|80", "beef", {"name": "bookstore/gone|80"})
    mesh.api.running = lambda name: (*without("SDS")(name), stale)
    result = run("proxy", "diff", "bookbuyer")
    assert result.code == 1
    assert "\n  missing secret service-cert: the proxy does not have it\n" in result.out
    extra = "\n  extra cluster bookstore/gone|80: the proxy has it, and should not\n"
    assert extra in result.out


def test_a_change_on_its_way_is_no_difference(start_mesh: StartMesh, run: Run) -> None:
    mesh = start_mesh()
    looks = iter(("LDS", "LDS"))  # of config_dump and of runtime: the second look finds everything

    def running(name: str) -> tuple[ExpectedResource, ...]:
        return without(next(looks, ""))(name)

    mesh.api.running = running
    assert run("proxy", "diff", "bookbuyer").code == 0


def test_diff_compares_all_proxies_or_those_of_a_namespace(shared_mesh: Mesh, run: Run) -> None:
    result = run("proxy", "diff", "--all")
    assert result.code == 1
    assert result.out.count(": in sync, ") == 5
    assert run("proxy", "diff", "--all", "-n", "bookbuyer").code == 0


def test_diff_is_there_for_programs(shared_mesh: Mesh, run: Run) -> None:
    result = run("proxy", "diff", "bookstore-v2", "-o", "json")
    assert result.code == 1
    (item,) = json.loads(result.out)["items"]
    assert (item["name"], item["inSync"], item["byVersion"]) == ("bookstore-v2", False, 4)
    (difference,) = item["differences"]
    assert (difference["kind"], difference["type"]) == ("different", "RDS")
    assert difference["expectedVersion"] == "0000000000000007"
    assert yaml.safe_load(run("proxy", "diff", "bookstore-v2", "-o", "yaml").out)["items"] == [item]


def test_diff_of_a_proxy_that_is_away_cannot_tell(start_mesh: StartMesh, run: Run) -> None:
    start_mesh(api=mesh_after(42, changed("bookbuyer", connected=False)))
    result = run("proxy", "diff", "bookbuyer")
    assert (result.code, result.out) == (2, "")
    assert "bookbuyer/bookbuyer is not connected to the control plane" in result.err


def test_diff_of_all_tells_of_those_that_it_can(start_mesh: StartMesh, run: Run) -> None:
    start_mesh(api=mesh_after(42, changed("bookbuyer", connected=False)))
    result = run("proxy", "diff", "--all")
    assert result.code == 2
    away = "bookbuyer/bookbuyer: cannot tell: the proxy bookbuyer/bookbuyer is not connected"
    assert result.out.splitlines()[0].startswith(away)
    assert result.out.count(": in sync, ") == 4
    items = json.loads(run("proxy", "diff", "--all", "-o", "json").out)["items"]
    assert items[0]["inSync"] is None
    assert "is not connected" in items[0]["problem"]


def test_diff_of_a_dump_asks_only_the_control_plane(
    start_mesh: StartMesh, run: Run, tmp_path: Path
) -> None:
    mesh = start_mesh()
    dump = tmp_path / "dump.json"
    dump.write_bytes(config_dump(expected_resources("bookbuyer")))
    mesh.api.running = lambda _: ()  # what the proxy itself would answer
    result = run("proxy", "diff", "bookbuyer", "--dump", str(dump))
    assert (result.code, result.err) == (0, "")
    assert "in sync, 8 resources" in result.out
    dump.write_bytes(config_dump(without("LDS")("bookbuyer")))
    assert run("proxy", "diff", "bookbuyer", "--dump", str(dump)).code == 1
    dump.write_bytes(b"no json")
    assert run("proxy", "diff", "bookbuyer", "--dump", str(dump)).code == 2
    assert run("proxy", "diff", "bookbuyer", "--dump", str(tmp_path / "no")).code == 2
    piped = run("proxy", "diff", "bookbuyer", "--dump", "-", stdin=config_dump(()))
    assert "  missing listener outbound-listener: " in piped.out


def test_diff_without_a_mesh_cannot_tell(run: Run) -> None:
    result = run("proxy", "diff", "bookbuyer")
    assert (result.code, result.out) == (2, "")
    assert "No mesh is running." in result.err


@pytest.mark.parametrize("arguments", [(), ("bookbuyer", "--all"), ("--all", "--dump", "-")])
def test_diff_is_of_one_proxy_or_of_all(
    shared_mesh: Mesh, run: Run, arguments: tuple[str, ...]
) -> None:
    result = run("proxy", "diff", *arguments)
    assert (result.code, result.out) == (2, "")
    assert "--all" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("config_dump", "bookbuyer", "-n", "bookbuyer"),
        ("config_dump", "bookbuyer"),
        ("/config_dump", "bookbuyer/bookbuyer"),
    ],
)
def test_get_prints_what_the_proxy_answers(
    shared_mesh: Mesh, run: Run, arguments: tuple[str, ...]
) -> None:
    result = run("proxy", "get", *arguments)
    assert (result.code, json.loads(result.out)["proxy"]) == (0, "bookbuyer/bookbuyer")


def test_get_finds_the_pod_of_a_statefulset_and_passes_parameters(
    shared_mesh: Mesh, run: Run
) -> None:
    result = run("proxy", "get", "stats?filter=rbac&format=json", "mysql")
    assert result.out == "bookwarehouse/mysql-0 stats?filter=rbac&format=json\n"


def test_get_writes_a_file_that_only_its_owner_reads(
    shared_mesh: Mesh, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "dump.json"
    assert run("proxy", "get", "clusters", "bookbuyer", "-f", str(path)) == (0, "", "")
    assert path.read_text() == "bookbuyer/bookbuyer clusters\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("config_dump", "nobody"), "There is no workload nobody."),
        (("config_dump", "bookbuyer", "-n", "bookstore"), "no workload bookbuyer in the namespace"),
        (("config_dump", "a/bookbuyer", "-n", "b"), "a/bookbuyer is not in the namespace b."),
        (("quitquitquit", "bookbuyer"), "is not served"),
    ],
)
def test_get_of_what_does_not_exist_is_a_wrong_invocation(
    shared_mesh: Mesh, run: Run, arguments: tuple[str, ...], said: str
) -> None:
    result = run("proxy", "get", *arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_a_name_in_several_namespaces_must_be_told_apart(start_mesh: StartMesh, run: Run) -> None:
    def twice(view: MeshView) -> MeshView:
        other = msgspec.structs.replace(view.workloads[0], namespace="other")
        return msgspec.structs.replace(view, workloads=(*view.workloads, other))

    start_mesh(api=mesh_after(42, twice))
    result = run("proxy", "get", "clusters", "bookbuyer")
    assert result.code == 2
    assert "in several namespaces: bookbuyer, other" in result.err
    assert run("proxy", "get", "clusters", "bookbuyer", "-n", "bookbuyer").code == 0
