"""The plans: for each mesh, by commands that exist, and there and back."""

import json
import shlex
from collections.abc import Mapping, Sequence

import click
import pytest
from tests.unit.migrate.former import (
    Document,
    deployments,
    mesh_config,
    namespace,
)
from tests.unit.migrate.judged import USUAL

from osm.cli.command import Verb, VerbGroup
from osm.cli.main import osm
from osm.core.migrate.judge import judge
from osm.core.migrate.order import callers_first
from osm.core.migrate.report import Step


def test_two_meshes_have_a_report_and_plans_each() -> None:
    second = deployments(mesh="two", namespace="two-system", version="v1.1.0")
    report = judge([*USUAL, *second, namespace("left", mesh="two")])
    assert [each.partition(" of ")[0] for each in report.found] == ["mesh osm", "mesh two"]
    assert len(report.plans) == 4
    assert "rollout restart" in repr(report.plans[2]) and "-n left" in repr(report.plans[2])
    assert "-n shop" not in repr(report.plans[2])


def test_every_command_of_osm_in_a_plan_is_understood() -> None:
    commands = [
        command
        for plan in judge(USUAL).plans
        for step in plan.steps
        for command in step.commands
        if command.startswith("osm ")
    ]
    assert len(commands) >= 5
    for line in commands:
        words = shlex.split(line)[1:]
        context = osm.make_context("osm", list(words))
        found: click.Command = osm
        rest = [*context._protected_args, *context.args]
        while isinstance(found, click.Group):
            _, below, rest = found.resolve_command(context, rest)
            assert below is not None, line
            found = below
            if isinstance(found, VerbGroup):
                context = found.make_context(found.name, rest, parent=context)
                rest = [*context._protected_args, *context.args]
        assert isinstance(found, Verb), line
        found.make_context(found.name, rest, parent=context)


def steps_of(documents: Sequence[Document]) -> Mapping[str, Step]:
    """Of the plan with both side by side."""
    return {step.title: step for step in judge(documents).plans[0].steps}


def test_a_namespaces_way_back_is_the_way_there_reversed() -> None:
    steps = steps_of(USUAL)
    there, back = steps["Take over shop"].commands, steps["The way back for shop"].commands
    assert (there[0], back[0]) == (
        "osm namespace add shop --mesh-name osm-next",
        "osm namespace remove shop --mesh-name osm-next",
    )
    assert there[1] == back[1] and "rollout restart" in there[1]


def test_the_new_mesh_names_the_former_one_until_the_end() -> None:
    steps = steps_of(USUAL)
    install = steps["Install the new mesh beside the old one"].commands[0]
    assert install.startswith("osm install --mesh-name osm-next --osm-namespace osm-system-next ")
    assert install.endswith(" --set osm.formerMeshName=osm")
    end = steps["End the take-over"].commands
    assert end[:2] == (
        "osm namespace add shop --mesh-name osm-next",
        "osm upgrade --mesh-name osm-next --osm-namespace osm-system-next --set osm.formerMeshName=",
    )
    assert list(steps)[-2:] == ["Remove OSM", "End the take-over"]


def test_osms_webhooks_go_before_what_answers_for_them() -> None:
    _, validating, mutating, helm = steps_of(USUAL)["Remove OSM"].commands
    assert validating == "kubectl delete validatingwebhookconfiguration osm-validator-mesh-osm"
    assert mutating == "kubectl delete mutatingwebhookconfiguration osm-webhook-osm"
    assert helm == "helm -n osm-system uninstall osm --no-hooks"


def test_images_of_osm_do_not_come_along() -> None:
    settings = mesh_config(sidecar={"envoyImage": "envoyproxy/envoy:v1.19.3", "logLevel": "error"})
    documents = [*(each for each in USUAL if each["kind"] != "MeshConfig"), settings]
    commands = steps_of(documents)["Install the new mesh beside the old one"].commands
    (patch,) = (each for each in commands if "envoyImage" in each)
    assert json.loads(shlex.split(patch)[-1]) == {"spec": {"sidecar": {"envoyImage": None}}}
    usual = steps_of(USUAL)["Install the new mesh beside the old one"].commands
    assert not any("Image" in each for each in usual)


def test_ignored_namespaces_stay_out_of_it_unless_they_were_taken_over() -> None:
    ignored, taken = namespace("ignored"), namespace("taken")
    for each in (ignored, taken):
        each["metadata"]["labels"]["openservicemesh.io/ignore"] = "true"
    taken["metadata"]["labels"]["openservicemesh.io/taken-over-by"] = "osm-next"
    steps = steps_of([*USUAL, ignored, taken])
    assert "Take over taken" in steps and "Take over ignored" not in steps
    assert steps["End the take-over"].commands[0].startswith("osm namespace add shop taken --mesh")


@pytest.mark.parametrize("provider", ["vault", "cert-manager"])
def test_without_the_roots_key_there_is_no_side_by_side(provider: str) -> None:
    documents = [*deployments(arguments={"certificate-manager": provider}), namespace("shop")]
    (plan,) = judge(documents).plans
    assert "all at once" in plan.title
    assert "private.key" not in repr(plan)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], ["a", "b", "c"]),
        (["c>b", "b>a"], ["c", "b", "a"]),
        (["b>a", "c>a", "a>a"], ["b", "c", "a"]),
        (["b>c", "elsewhere>a"], ["a", "b", "c"]),
        # Each calls the other: the one that only c calls besides is first when c is gone.
        (["a>b", "b>a", "c>b"], ["c", "a", "b"]),
    ],
)
def test_callers_are_taken_over_before_those_whom_they_call(
    calls: list[str], expected: list[str]
) -> None:
    targets = [
        {
            "apiVersion": "access.smi-spec.io/v1alpha3",
            "kind": "TrafficTarget",
            "metadata": {"name": f"t{index}", "namespace": to},
            "spec": {
                "destination": {"kind": "ServiceAccount", "name": "s", "namespace": to},
                "sources": [{"kind": "ServiceAccount", "name": "c", "namespace": caller}],
            },
        }
        for index, (caller, _, to) in enumerate(each.partition(">") for each in calls)
    ]
    assert list(callers_first("bca", targets)) == expected


def test_osms_own_namespace_becomes_the_meshs_at_the_end() -> None:
    """Where it was monitored, for what OSM's chart brought into it."""
    steps = steps_of([*USUAL, namespace("osm-system")])
    assert "Take over osm-system" not in steps
    assert steps["End the take-over"].commands[0].startswith("osm namespace add osm-system shop ")
