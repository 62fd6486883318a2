"""A change looks again at the findings that it can change, and at no others."""

from collections import Counter

import msgspec
import pytest

from osm.core.compile import build
from osm.core.compile.build import Compiler
from osm.core.compile.findings.stages import TABLES
from osm.core.compile.tables import Tables
from osm.core.derive.derivation import Derive, Stage
from osm.testing.builders import (
    LOCAL,
    Document,
    Part,
    http_group,
    manifests,
    pod,
    service,
    split,
    target,
)

SERVICES = 20


def a_pod(number: int, replica: int, *, ready: bool = True) -> Document:
    address = f"10.{replica}.0.{number}"
    return pod(f"s{number}-{replica}", app=f"s{number}", ip=address, ready=ready)


def a_target(number: int, *more: str) -> Document:
    sources = [f"s{(number + each) % SERVICES}" for each in (1, 2, 3)]
    return target(f"s{number}", f"s{number}", [*sources, *more], f"HTTPRouteGroup/s{number}")


def parts() -> list[Part]:
    return [
        part
        for number in range(SERVICES)
        for part in (
            service(f"s{number}", 80, ip=f"10.9.0.{number}"),
            a_pod(number, 0),
            a_pod(number, 1),
            http_group(f"s{number}", {"name": "m", "pathRegex": "/x"}),
            a_target(number),
        )
    ]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each table of findings was computed for a key."""
    counts: Counter[str] = Counter()

    def counted(stage: Stage) -> Stage:
        if not isinstance(stage, Derive) or stage.name not in TABLES:
            return stage

        def compute(tables: Tables, key: object, value: object) -> object:
            counts[stage.name] += 1
            return stage.compute(tables, key, value)

        return msgspec.structs.replace(stage, compute=compute)

    monkeypatch.setattr(build, "STAGES", tuple(map(counted, build.STAGES)))
    return counts


@pytest.fixture
def compiler(looked: Counter[str]) -> Compiler:
    made = Compiler(LOCAL, manifests(*parts()))
    assert made.model.findings == ()
    assert looked["endpoint_findings"] == looked["access_findings"] == SERVICES
    looked.clear()
    return made


def test_an_endpoint_that_comes_and_goes_is_its_services_affair(
    compiler: Compiler, looked: Counter[str]
) -> None:
    for ready in (False, True):
        compiler.update(manifests(a_pod(7, 0, ready=ready)))
        assert looked == {"pod_findings": 1, "endpoint_findings": 1}
        assert compiler.model.findings == ()
        looked.clear()


def test_the_last_endpoint_that_goes_is_told_and_taken_back(
    compiler: Compiler, looked: Counter[str]
) -> None:
    compiler.update(manifests(a_pod(7, 0, ready=False), a_pod(7, 1, ready=False)))
    assert [finding.code for finding in compiler.model.findings] == ["OSM203"]
    compiler.update(manifests(a_pod(7, 1)))
    assert compiler.model.findings == ()
    assert looked["endpoint_findings"] == 2


def test_an_access_rule_is_its_destinations_affair(
    compiler: Compiler, looked: Counter[str]
) -> None:
    compiler.update(manifests(a_target(7, "gone")))
    assert [finding.code for finding in compiler.model.findings] == ["OSM303"]
    assert looked == {"targets_outside": 1, "access_findings": 1}


def test_the_first_workload_of_an_account_is_the_affair_of_those_that_name_it(
    compiler: Compiler, looked: Counter[str]
) -> None:
    gone = manifests(a_pod(7, 0), a_pod(7, 1))
    compiler.update(deleted=[manifest.key for manifest in gone])
    # Its own service and rule, and the three rules that name it as a source.
    assert looked["endpoint_findings"] == 1
    assert looked["access_findings"] == 4


def test_a_split_is_the_affair_of_its_services(compiler: Compiler, looked: Counter[str]) -> None:
    compiler.update(manifests(split("s", "s7", {"s8": 1, "s7": 1})))
    assert looked["split_effect_findings"] == 1
    assert looked["access_findings"] == looked["endpoint_findings"] == 0
