"""`osm namespace ignore`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from osm.cli.cluster_options import connection_options, on_cluster
from osm.cli.command import Verb
from osm.cli.mesh_name import mesh_name_option
from osm.cli.names import NAMESPACE

if TYPE_CHECKING:
    from osm.kubernetes.api_server import ApiServer


@click.command(
    "ignore",
    cls=Verb,
    examples="""
    osm namespace ignore monitoring
    """,
)
@click.argument("namespaces", nargs=-1, required=True, type=NAMESPACE, metavar="NAMESPACE...")
@mesh_name_option
@connection_options
def command(
    *, namespaces: tuple[str, ...], mesh_name: str, kubeconfig: Path | None, context: str | None
) -> None:
    """Keep the mesh's admission off namespaces: no pod there gets a proxy, whatever it asks for."""

    async def ask(server: "ApiServer") -> None:
        from osm.cli.cluster_namespaces import check_mesh, ignore  # noqa: PLC0415 - needs an extra
        from osm.kubernetes.apply import Objects  # noqa: PLC0415

        objects = Objects(server)
        await check_mesh(objects, mesh_name)
        for name in namespaces:
            click.echo(await ignore(objects, name))

    on_cluster(kubeconfig, context, ask)
