"""`osm namespace remove`."""

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
    "remove",
    cls=Verb,
    examples="""
    osm namespace remove bookstore
    osm namespace remove bookstore --mesh-name shop
    """,
)
@click.argument("namespace", type=NAMESPACE)
@mesh_name_option
@connection_options
def command(
    *, namespace: str, mesh_name: str, kubeconfig: Path | None, context: str | None
) -> None:
    """Take a namespace out of the mesh.

    Pods that run keep their proxies, which the mesh no longer configures, until they start again.

    One that was taken over from another mesh is given back to that.
    """

    async def ask(server: "ApiServer") -> str:
        from osm.cli.cluster_namespaces import remove  # noqa: PLC0415 - needs an extra
        from osm.kubernetes.apply import Objects  # noqa: PLC0415

        return await remove(Objects(server), namespace, mesh_name)

    click.echo(on_cluster(kubeconfig, context, ask))
