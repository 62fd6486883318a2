"""`osm env`."""

import os
from pathlib import Path

import click

from osm.cli.command import Verb, output_option

_FORMER_FILE = "~/.osm/config.yaml"


@click.command(
    cls=Verb,
    examples="""
    osm env
    osm env -o json
    """,
)
@output_option("json", default="yaml")
def command(output: str) -> None:
    """Print what the environment tells this command: OSM_NAMESPACE, OSM_MESH, KUBECONFIG.

    The form is OSM's. Its file ($OSM_CONFIG, or ~/.osm/config.yaml) is not read any more.
    """
    from osm.cli.cluster_options import DEFAULT_OSM_NAMESPACE  # noqa: PLC0415 - not for --help
    from osm.cli.encode import encoded  # noqa: PLC0415

    namespace = os.environ.get("OSM_NAMESPACE") or DEFAULT_OSM_NAMESPACE
    found = {
        "install": {"kind": "self-hosted", "distribution": "", "namespace": namespace},
        "mesh": os.environ.get("OSM_MESH", ""),
        "kubeconfig": os.environ.get("KUBECONFIG") or "~/.kube/config",
    }
    text = encoded(found, output)
    click.echo(text if output == "json" else f"---\n{text}")
    file = Path(os.environ.get("OSM_CONFIG") or _FORMER_FILE).expanduser()
    if file.is_file():
        click.echo(
            f"{file} is not read: set OSM_NAMESPACE for what its install.namespace says.", err=True
        )
