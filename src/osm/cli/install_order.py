"""What `install` and `upgrade` are to make: from a command line's values to documents."""

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from osm.cli.cluster_options import DEFAULT_OSM_NAMESPACE
from osm.cli.encode import to_json
from osm.core.install.manifests import crds, manifests, namespace
from osm.core.install.names import Installation
from osm.core.install.record import record
from osm.core.install.values_reading import merged, read_values
from osm.errors import ConfigError

Document = dict[str, Any]


class Order(msgspec.Struct, frozen=True):
    """One installation as it shall be."""

    installation: Installation
    version: str
    single: bool
    """Whether it wants to be the only mesh."""
    former_mesh: str
    """The mesh of OSM's that it takes over from, or nothing."""
    root_secret: str
    given: Mapping[str, object]
    """What differs from the defaults."""
    documents: tuple[Document, ...]
    """Without the namespace, the definitions and the record."""
    remarks: tuple[str, ...]

    @property
    def record(self) -> Document:
        """What the next upgrade has to know."""
        return record(self.installation, self.version, self.given)


def order_of(
    tree: Mapping[str, object],
    version: str,
    *,
    mesh: str | None = None,
    namespace: str | None = None,
    single: bool | None = None,
) -> Order:
    """Read values; what is not None has been said outside of them, and wins. Raises `OsmError`."""
    said = {} if single is None else {"osm": {"enforceSingleMesh": single}}
    reading = read_values(merged(tree, said))
    values = reading.values
    installation = Installation(
        mesh or values.osm.mesh_name,
        namespace or values.osm.osm_namespace or DEFAULT_OSM_NAMESPACE,
    )
    if installation.mesh == values.osm.former_mesh_name:
        raise ConfigError(
            f"a mesh cannot take over from itself: both are called {installation.mesh}",
            hint="osm.formerMeshName is OSM's mesh; give this one another name by --mesh-name.",
        )
    return Order(
        installation,
        version,
        values.osm.enforce_single_mesh,
        values.osm.former_mesh_name,
        values.osm.ca_bundle_secret_name,
        reading.given,
        manifests(installation, values, version),
        tuple(map(str, reading.remarks)),
    )


def print_documents(order: Order, output: str) -> None:
    """Print all objects of an installation, as YAML documents or as a List in JSON."""
    documents = [namespace(order.installation), *crds(), *order.documents, order.record]
    if output == "json":
        click.echo(to_json({"apiVersion": "v1", "kind": "List", "items": documents}))
        return
    import yaml  # noqa: PLC0415 - slow

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            return True

    text = yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, explicit_start=True, width=120)
    click.echo(text, nl=False)
