"""A new version takes over without a moment in which nobody answers."""

from collections.abc import Mapping
from typing import Any

import click
import pytest
from tests.unit.install.installed import OSM, made, one, pod

from osm.cli.verbs.controller import command
from osm.core.install.names import Installation


def test_a_replica_goes_when_its_successor_serves() -> None:
    strategy = one("Deployment")["spec"]["strategy"]
    assert strategy == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    container = pod()["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"] == {
        "path": "/health/ready",
        "port": 9091,
        "scheme": "HTTP",
    }
    # While it still gets calls it still answers, and then it has time to end.
    assert container["lifecycle"]["preStop"]["exec"]["command"][-1] == "import time; time.sleep(5)"
    assert pod()["spec"]["terminationGracePeriodSeconds"] >= 5 + 10


@pytest.mark.parametrize("name", ["osm-controller", "osm-injector", "osm-validator"])
def test_services_find_the_pods_of_their_own_mesh(name: str) -> None:
    service = one("Service", name=name)
    labels: Mapping[str, str] = pod()["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    other = next(
        each for each in made(installation=Installation("blue")) if each["kind"] == "Deployment"
    )
    elsewhere = other["spec"]["template"]["metadata"]["labels"]
    assert not service["spec"]["selector"].items() <= elsewhere.items()


def test_version_is_not_in_what_can_never_change() -> None:
    selector = one("Deployment")["spec"]["selector"]["matchLabels"]
    assert selector == {"app": "osm-controller", "app.kubernetes.io/instance": "osm"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"mesh": "osm", "osm_namespace": "osm-system", "validate_traffic_target": True}),
        ("smi.validateTrafficTarget=false", {"validate_traffic_target": False}),
        ("osm.trustDomain=a.b,osm.caBundleSecretName=r", {"trust_domain": "a.b"}),
        ("osm.caBundleSecretName=our-root", {"ca_bundle_secret_name": "our-root"}),
        ("osm.controllerLogLevel=warn", {"verbosity": "warn"}),
        ("osm.injector.webhookTimeoutSeconds=7", {"webhook_timeout": 7}),
        ("", {"former_mesh_name": None}),
        ("osm.formerMeshName=old", {"former_mesh_name": "old"}),
        ("osm.sidecarImage=e:1", {"envoy_image": "e:1"}),
        ("osm.image.tag=3.0.0", {"init_image": "openservicemesh/osm-init:3.0.0"}),
    ],
)
def test_control_plane_is_started_as_it_understands(text: str, expected: dict[str, Any]) -> None:
    """By the command's own parser."""
    container = pod(text)["spec"]["containers"][0]
    name, *arguments = container["args"]
    assert (container["command"], name) == (["osm"], "controller")
    environment = {each["name"]: each.get("value", "a-pod") for each in container["env"]}
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        context: click.Context = command.make_context(name, list(arguments))
    assert context.params["kubernetes"] is True
    assert context.params["pod_name"] == "a-pod"
    assert {key: context.params[key] for key in expected} == expected


def test_mesh_config_comes_before_the_webhook_that_judges_it() -> None:
    kinds = [each["kind"] for each in made(installation=OSM)]
    assert kinds[-2:] == ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
    assert kinds.index("ServiceAccount") < kinds.index("Deployment")
