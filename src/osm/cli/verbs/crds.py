"""`osm crds`."""

import sys

import click
import yaml

from osm.cli.command import Verb


@click.command(
    cls=Verb,
    examples="""
    osm crds | kubectl apply --server-side -f -
    osm crds > crds.yaml
    """,
)
def command() -> None:
    """Print the CustomResourceDefinitions of the mesh's kinds.

    They are YAML for `kubectl apply`. Names and versions are those of OSM's own, so objects that are
    there stay valid.
    """
    from osm.core.api.crd import custom_resource_definitions  # noqa: PLC0415 - slow

    yaml.dump_all(
        custom_resource_definitions(),
        sys.stdout,
        Dumper=_Dumper,
        sort_keys=False,
        explicit_start=True,
        width=120,
    )


class _Dumper(yaml.SafeDumper):
    """Writes what is shared where it is used: YAML's references would be hard to read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True
