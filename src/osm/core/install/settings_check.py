"""Whether values make a MeshConfig that is one: told before anything is written to a cluster."""

import json
from collections.abc import Iterator, Mapping

from osm.core.api.decode import decode
from osm.core.install.mesh_config import CONFIGURATION
from osm.core.install.template import Node, Scope, Value, fill
from osm.core.model.origin import Finding, Severity
from osm.errors import ConfigError

_GIVEN = {"mesh": "osm", "namespace": "osm-system", "version": "0"}


def refuse_wrong_settings(values: Mapping[str, object]) -> None:
    """Check the values, as a tree, as the validator checks the object. Raises `ConfigError`."""
    document = fill(CONFIGURATION, Scope(values, _GIVEN))
    assert document is not None
    for finding in decode(json.loads(json.dumps(document))).findings:
        if finding.severity is Severity.ERROR:
            raise ConfigError(
                f"the value {_value_of(finding)} cannot be used: {finding.message}",
                hint=finding.hint,
            )


def _value_of(finding: Finding) -> str:
    """The name of the value that a field comes from."""
    field = finding.origin.field if finding.origin else ""
    for place, value in _values(CONFIGURATION.node, ""):
        if field == place or field.startswith(f"{place}["):
            return value + field.removeprefix(place)
    return field


def _values(node: Node, above: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Value):
        yield above, node.path
    elif isinstance(node, Mapping):
        for name, member in node.items():
            yield from _values(member, f"{above}.{name}" if above else name)
