"""`helm template` makes what `osm install` applies, for the same values."""

import json
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.chart.helm_command import CHART, Helm

import osm
from osm.cli.verbs.install import command as install
from osm.core.install.manifests import crds, manifests
from osm.core.install.names import Installation
from osm.core.install.presets import PRESETS
from osm.core.install.record import RECORD
from osm.core.install.set_text import with_set
from osm.core.install.values_reading import Tree, merged, read_values

SETS: Mapping[str, Sequence[str]] = {
    "nothing": (),
    "image tag": ("osm.image.tag=2.1.0",),
    "image with a digest": ("osm.image.tag=2.1.0@sha256:0123abcd",),
    "another registry": ("osm.image.registry=registry.example:5000/team/mesh",),
    "other image names": ("osm.image.name.osmController=a,osm.image.name.osmSidecarInit=b",),
    "another proxy": ("osm.sidecarImage=envoyproxy/envoy:v1.40.0",),
    "pull policy and secrets": (
        "osm.image.pullPolicy=Always",
        "osm.imagePullSecrets[0].name=here,osm.imagePullSecrets[1].name=there",
    ),
    "replicas": ("osm.osmController.replicaCount=5",),
    "drains": ("osm.osmController.enablePodDisruptionBudget=true",),
    "autoscaler": (
        "osm.osmController.autoScale.enable=true,osm.osmController.autoScale.minReplicas=2",
        "osm.osmController.autoScale.cpu.targetAverageUtilization=55",
    ),
    "resources": (
        "osm.osmController.resource.limits.cpu=2,osm.osmController.resource.limits.memory=null",
        "osm.osmController.resource.requests=null",
    ),
    "labels": (
        "osm.osmController.podLabels.team=mesh,osm.osmController.podLabels.example\\.com/x=y",
        "osm.osmController.podLabels.app=not-this-one",
    ),
    "no labels": ("osm.osmController.podLabels=null",),
    "node selector": ("osm.osmController.nodeSelector.kubernetes\\.io/os=linux",),
    "no affinity": ("osm.osmController.affinity=null",),
    "more affinity": ("osm.osmController.affinity.podAntiAffinity=null",),
    "tolerations": (
        "osm.controlPlaneTolerations[0].key=a,osm.controlPlaneTolerations[0].operator=Exists",
        "osm.osmController.tolerations[0].key=b,osm.osmController.tolerations[0].value=<&>",
    ),
    "webhook timeout": ("osm.injector.webhookTimeoutSeconds=20",),
    "a former mesh": ("osm.formerMeshName=old",),
    "several meshes": ("osm.enforceSingleMesh=false",),
    "trust domain": ("osm.trustDomain=mesh.example",),
    "root certificate": ("osm.caBundleSecretName=our-root",),
    "modes": ("osm.enablePermissiveTrafficPolicy=false,osm.enableEgress=false",),
    "traffic targets": ("smi.validateTrafficTarget=false",),
    "logs": ("osm.controllerLogLevel=debug,osm.envoyLogLevel=off",),
    "exclusions": (
        "osm.outboundIPRangeExclusionList={10.0.0.0/8,192.168.1.1/32}",
        "osm.outboundPortExclusionList={22,9200},osm.inboundPortExclusionList[0]=443",
        "osm.networkInterfaceExclusionList={eth1},osm.outboundIPRangeInclusionList={1.1.1.1/32}",
    ),
    "proxies": (
        "osm.localProxyMode=PodIP,osm.maxDataPlaneConnections=2000000",
        "osm.enablePrivilegedInitContainer=true",
    ),
    "tracing": ("osm.tracing.enable=true,osm.tracing.address=zipkin.example,osm.tracing.port=80",),
    "certificates": (
        "osm.certificateProvider.serviceCertValidityDuration=1h",
        "osm.certificateProvider.certKeyBitSize=4096",
    ),
    "flags": ("osm.featureFlags.enableRetryPolicy=true,osm.featureFlags.enableSPIFFE=true",),
    "of OSM": ("osm.deployPrometheus=true,osm.injector.replicaCount=2,contour.enabled=true",),
}


@pytest.mark.parametrize("case", SETS)
def test_for_values_on_the_command_line(case: str, helm: Helm) -> None:
    options = [option for text in SETS[case] for option in ("--set", text)]
    assert _by_name(helm.template(*options)) == _by_name(_printed(*options))


def test_every_row_but_some_changes_an_object() -> None:
    """A row that changed nothing would compare nothing."""
    plain = _expected({})
    idle = set()
    for case, texts in SETS.items():
        given: Tree = {}
        for text in texts:
            given = with_set(given, text)
        if _expected(given) == plain:
            idle.add(case)
    assert idle == {"nothing", "no labels", "of OSM"}


@pytest.mark.parametrize("preset", PRESETS)
def test_for_presets(preset: str, helm: Helm) -> None:
    file = CHART / f"values-{preset}.yaml"
    options = ("-f", str(file)) if preset != "default" else ()
    assert _by_name(helm.template(*options)) == _expected(PRESETS[preset])


def test_for_names(helm: Helm) -> None:
    options = ("--set", "osm.meshName=blue")
    installation = Installation("blue", "blue-system")
    made = helm.template(*options, release="blue", namespace="blue-system")
    assert _by_name(made) == _expected({}, installation)
    elsewhere = helm.template(*options, "--set", "osm.osmNamespace=blue-system", namespace="x")
    assert _by_name(elsewhere) == _expected({}, installation)


def test_for_files_and_what_is_set_besides(helm: Helm, tmp_path: Path) -> None:
    files: Sequence[Tree] = (
        {"osm": {"osmController": {"tolerations": [{"key": "a"}, {"key": "b"}]}}},
        {"osm": {"osmController": {"affinity": {"nodeAffinity": None}, "replicaCount": 2}}},
    )
    options = []
    for number, tree in enumerate(files):
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(tree))
        options += ["-f", str(file)]
    text = "osm.osmController.tolerations[1].key=c"
    expected = _expected(with_set(merged(*files), text))
    assert _by_name(helm.template(*options, "--set", text)) == expected


def test_definitions_come_too(helm: Helm) -> None:
    made = helm.template("--include-crds")
    definitions = [each for each in made if each["kind"] == "CustomResourceDefinition"]
    assert _by_name(definitions) == _by_name(crds())


def test_mesh_config_is_made_once(helm: Helm) -> None:
    """As a hook, it comes before the webhook that judges it, and no upgrade touches it."""
    made = helm.template("--no-hooks")
    assert "MeshConfig" not in {each["kind"] for each in made}
    assert "MeshConfig" not in {
        each["kind"] for each in helm.template("--no-hooks", "--is-upgrade")
    }
    assert "MeshConfig" in {each["kind"] for each in helm.template()}


def test_lint_finds_nothing(helm: Helm) -> None:
    done = helm.run("lint", "--strict", str(CHART))
    assert not done.returncode, done.stdout
    assert "[WARNING]" not in done.stdout


def test_notes_say_what_has_no_effect(helm: Helm, tmp_path: Path) -> None:
    text = "osm.deployGrafana=true,osm.enableFluentbit=false,osm.vault.host=x"
    notes = _notes(helm, tmp_path, "--set", text)
    remarks = read_values(with_set({}, text)).remarks
    assert [remark.path for remark in remarks] == ["osm.deployGrafana", "osm.vault"]
    assert all(str(remark) in notes for remark in remarks)
    assert notes.count("has no effect") == 2
    assert "has no effect" not in _notes(helm, tmp_path)


def _notes(helm: Helm, tmp_path: Path, *options: str) -> str:
    """What `helm install` would say. It shows that to those only who have a cluster."""
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy, dirs_exist_ok=True)
    notes = textwrap.indent((copy / "templates/NOTES.txt").read_text(), "    ")
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata:\n  text: |\n"
    (copy / "templates/notes.yaml").write_text(head + notes)
    made = helm.template(*options, chart=copy)
    return str(next(each for each in made if each["kind"] == "ConfigMap")["data"]["text"])


def _printed(*options: str) -> list[dict[str, Any]]:
    """What `osm install` would make, but for the namespace and its own notes, which Helm has itself,
    and for the definitions, which are compared once.
    """
    done = CliRunner().invoke(install, ["--dry-run", "-o", "json", *options])
    assert not done.exit_code, done.stderr
    helms = {("Namespace", "osm-system"), ("ConfigMap", RECORD)}
    return [
        each
        for each in json.loads(done.stdout)["items"]
        if (each["kind"], each["metadata"]["name"]) not in helms
        and each["kind"] != "CustomResourceDefinition"
    ]


def _expected(
    given: Tree, installation: Installation | None = None
) -> dict[tuple[str, str], object]:
    installation = installation or Installation()
    return _by_name(manifests(installation, read_values(given).values, osm.__version__))


def _by_name(documents: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], object]:
    """The objects, without what Helm alone understands, and as JSON has them."""
    found: dict[tuple[str, str], object] = {}
    for each in json.loads(json.dumps(documents)):
        annotations = each["metadata"].pop("annotations", {})
        kept = {k: v for k, v in annotations.items() if not k.startswith("helm.sh/")}
        if kept:
            each["metadata"]["annotations"] = kept
        key = (each["kind"], each["metadata"]["name"])
        assert key not in found, key
        found[key] = each
    return found
