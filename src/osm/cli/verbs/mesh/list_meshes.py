"""`osm mesh list`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from osm.cli.cluster_options import connection_options, on_cluster
from osm.cli.command import Verb, output_option
from osm.cli.encode import encoded
from osm.cli.render import table

if TYPE_CHECKING:
    from osm.cli.cluster_versions import ListedMesh
    from osm.kubernetes.api_server import ApiServer

_HINT = """
To list the OSM controller pods for a mesh, please run the following command passing in the mesh's namespace
\tkubectl get pods -n <osm-mesh-namespace> -l app=osm-controller"""


@click.command(
    "list",
    cls=Verb,
    examples="""
    osm mesh list
    osm mesh list --context staging -o json
    """,
)
@connection_options
@output_option("json", "yaml", "name")
def command(*, kubeconfig: Path | None, context: str | None, output: str) -> None:
    """List the meshes of a cluster: their versions, namespaces, and the versions of SMI they read."""

    async def ask(server: "ApiServer") -> "tuple[ListedMesh, ...]":
        from osm.cli.cluster_versions import listed_meshes  # noqa: PLC0415 - needs an extra
        from osm.kubernetes.apply import Objects  # noqa: PLC0415

        return await listed_meshes(Objects(server))

    meshes = on_cluster(kubeconfig, context, ask)
    if output in ("json", "yaml"):
        click.echo(encoded({"items": meshes}, output))
    elif output == "name":
        for each in meshes:
            click.echo(f"{each.namespace}/{each.name}")
    elif not meshes:
        click.echo("No osm mesh control planes found")
    else:
        _print(meshes)


def _print(meshes: "tuple[ListedMesh, ...]") -> None:
    from osm.cli.cluster_versions import smi_text  # noqa: PLC0415 - as above

    where = ("mesh name", "mesh namespace")
    rows = [(m.name, m.namespace, m.version, ",".join(m.added_namespaces)) for m in meshes]
    click.echo("\n" + table((*where, "version", "added namespaces"), rows))
    rows_of_smi = [(m.name, m.namespace, smi_text(m.smi_supported)) for m in meshes]
    click.echo("\n" + table((*where, "smi supported"), rows_of_smi))
    click.echo(_HINT)
