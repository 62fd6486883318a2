"""`osm namespace add`."""

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
    "add",
    cls=Verb,
    examples="""
    osm namespace add bookstore bookbuyer
    osm namespace add bookstore --disable-sidecar-injection
    osm namespace add bookstore --mesh-name shop
    """,
)
@click.argument("namespaces", nargs=-1, required=True, type=NAMESPACE, metavar="NAMESPACE...")
@mesh_name_option
@click.option("--disable-sidecar-injection", is_flag=True,
              help="Let pods start without a proxy; annotations of pods can ask for one.")  # fmt: skip
@connection_options
def command(
    *,
    namespaces: tuple[str, ...],
    mesh_name: str,
    disable_sidecar_injection: bool,
    kubeconfig: Path | None,
    context: str | None,
) -> None:
    """Make namespaces part of the mesh.

    Pods that start from then on get a proxy; those that run stay as they are until they start again.

    One of the mesh that this one takes over from (osm.formerMeshName) stays known to both, so that old and
    new proxies call each other, until that mesh is gone and the namespace is added once more.
    """

    async def ask(server: "ApiServer") -> None:
        from osm.cli import cluster_namespaces  # noqa: PLC0415 - needs the extra `kubernetes`
        from osm.kubernetes.apply import Objects  # noqa: PLC0415

        objects = Objects(server)
        await cluster_namespaces.check_mesh(objects, mesh_name)
        for name in namespaces:
            said = await cluster_namespaces.add(
                objects, name, mesh_name, injection=not disable_sidecar_injection
            )
            first, *more = said
            click.echo(first)
            for line in more:
                click.echo(line, err=True)

    on_cluster(kubeconfig, context, ask)
