"""`osm namespace list`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from osm.cli.cluster_options import connection_options, on_cluster
from osm.cli.command import Verb, output_option
from osm.cli.encode import encoded
from osm.cli.names import MESH
from osm.cli.render import table

if TYPE_CHECKING:
    from osm.cli.cluster_namespaces import MeshNamespace
    from osm.kubernetes.api_server import ApiServer


@click.command(
    "list",
    cls=Verb,
    examples="""
    osm namespace list
    osm namespace list --mesh-name shop -o json
    """,
)
@click.option("--mesh-name", type=MESH, metavar="NAME",
              help="Only of this mesh.  [default: of all]")  # fmt: skip
@connection_options
@output_option("json", "yaml", "name")
def command(
    *, mesh_name: str | None, kubeconfig: Path | None, context: str | None, output: str
) -> None:
    """List the namespaces that are in a mesh, and whether their pods get proxies."""

    async def ask(server: "ApiServer") -> "tuple[MeshNamespace, ...]":
        from osm.cli.cluster_namespaces import mesh_namespaces  # noqa: PLC0415 - needs an extra
        from osm.kubernetes.apply import Objects  # noqa: PLC0415

        return await mesh_namespaces(Objects(server), mesh_name)

    found = on_cluster(kubeconfig, context, ask)
    if output in ("json", "yaml"):
        click.echo(encoded({"items": found}, output))
    elif output == "name":
        for each in found:
            click.echo(f"namespace/{each.namespace}")
    elif not found:
        where = f"mesh [{mesh_name}]" if mesh_name else "any mesh"
        click.echo(f"No namespaces in {where}")
    else:
        rows = [(each.namespace, each.mesh_shown, each.sidecar_injection) for each in found]
        click.echo(table(("namespace", "mesh", "sidecar-injection"), rows))
