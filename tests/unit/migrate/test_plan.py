"""The plans: for each mesh, by commands that exist, and there and back."""

import shlex

import click
from tests.unit.migrate.former import (
    deployments,
    namespace,
)
from tests.unit.migrate.judged import USUAL

from osm.cli.command import Verb, VerbGroup
from osm.cli.main import osm
from osm.core.migrate.judge import judge


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


def test_a_namespaces_way_back_is_the_way_there_reversed() -> None:
    steps = {step.title: step for step in judge(USUAL).plans[0].steps}
    there, back = steps["Take over shop"].commands, steps["The way back for shop"].commands
    label = "kubectl label namespace shop --overwrite openservicemesh.io/monitored-by="
    assert (there[0], back[0]) == (f"{label}osm-next", f"{label}osm")
    assert there[1] == back[1] and "rollout restart" in there[1]
