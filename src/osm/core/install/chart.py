"""The Helm chart: its files, by their paths. `make chart` writes them to charts/osm."""

import json
import re
from collections.abc import Mapping

import yaml

from osm.core.install.chart_values import preset_text, schema_text, values_text
from osm.core.install.former_values import FORMER
from osm.core.install.go_template import GIVEN, go_template
from osm.core.install.manifests import TEMPLATES, crds, is_kept
from osm.core.install.presets import PRESETS
from osm.core.install.template import Template

KUBERNETES = ">=1.23.0-0"
"""The first version with everything that the objects use."""
_HOOK: Mapping[str, str] = {"helm.sh/hook": "pre-install"}
"""Of what is made once: before the webhook asks about it, and never upgraded or removed by Helm."""
_WRITTEN = "{{- /* Written by `make chart` from osm.core.install; do not edit. */ -}}\n"
_VERSION = re.compile(r"(?P<release>\d+\.\d+\.\d+)(?:\.?(?P<phase>[a-z]+)(?P<number>\d+))?")


def chart_files(version: str) -> Mapping[str, str]:
    """All files of the chart of a version of `osm`."""
    return {
        "Chart.yaml": _about(version),
        "values.yaml": _YAML_WRITTEN + values_text(),
        "values.schema.json": schema_text(),
        **{f"values-{name}.yaml": _YAML_WRITTEN + preset_text(name) for name in _FILES},
        **{
            f"templates/{template.name}.yaml": _WRITTEN + go_template(_hooked(template))
            for template in TEMPLATES
        },
        "templates/NOTES.txt": _notes(),
        **{
            f"crds/{crd['metadata']['name']}.yaml": _YAML_WRITTEN + _yaml(crd)  # type: ignore[index]
            for crd in crds()
        },
    }


_FILES = tuple(name for name in PRESETS if name != "default")
_YAML_WRITTEN = "# Written by `make chart` from osm.core.install; do not edit.\n"


def chart_version(version: str) -> str:
    """A version of Python's as Helm wants it: 2.0.0.dev1 is 2.0.0-dev.1."""
    match = _VERSION.fullmatch(version)
    assert match is not None, version
    phase = f"-{match['phase']}.{match['number']}" if match["phase"] else ""
    return match["release"] + phase


def _about(version: str) -> str:
    return _YAML_WRITTEN + _yaml(
        {
            "apiVersion": "v2",
            "name": "osm",
            "description": "Open Service Mesh: a small service mesh on stock Envoy",
            "type": "application",
            "version": chart_version(version),
            "appVersion": version,
            "kubeVersion": KUBERNETES,
        }
    )


def _hooked(template: Template) -> Template:
    if not is_kept(dict(template.node)):
        return template
    node = dict(template.node)
    node["metadata"] = {**node["metadata"], "annotations": _HOOK}
    return Template(template.name, node, template.condition)


def _notes() -> str:
    """What `helm install` says at the end."""
    lines = [
        f"Mesh {{{{ {GIVEN['mesh']} }}}} is being installed in namespace {{{{ {GIVEN['namespace']} }}}}.",
        "`osm check` tells when it is ready, and `osm namespace add` puts a namespace into it.",
    ]
    for path, former in FORMER.items():
        hint = f" {former.instead}" if former.instead else ""
        lines += [
            f"{{{{- if {_looked_up(path)} }}}}",
            f"{path} has no effect: {former.why}{hint}",
            "{{- end }}",
        ]
    return "\n".join([*lines, ""])


def _looked_up(path: str) -> str:
    """A value that need not be there, and whose owner need not either."""
    found = ".Values"
    for name in path.split("."):
        found = f"({found}.{name})"
    return found


def _yaml(value: object) -> str:
    plain = json.loads(json.dumps(value))  # no shared parts, hence no anchors
    text: str = yaml.safe_dump(plain, sort_keys=False, width=100)
    return text
