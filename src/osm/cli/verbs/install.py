"""`osm install`."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from osm import __version__
from osm.cli.cluster_options import SECONDS, cluster_options, on_cluster
from osm.cli.command import Verb, output_option
from osm.cli.install_options import Given, values_options, warn
from osm.cli.names import CLUSTER_MESH


@click.command(
    cls=Verb,
    examples="""
    osm install
    osm install --set osm.enablePermissiveTrafficPolicy=false --set osm.image.tag=2.0.0
    osm install --preset ha -f values.yaml --timeout 10m
    osm install --mesh-name shop --osm-namespace shop-mesh --enforce-single-mesh=false
    osm install --dry-run > mesh.yaml
    """,
)
@click.option("--mesh-name", type=CLUSTER_MESH, envvar="OSM_MESH", metavar="NAME",
              help="The name of the mesh.  [default: osm]")  # fmt: skip
@click.option("--enforce-single-mesh", type=bool, is_flag=False, flag_value="true", metavar="BOOL",
              help="Whether this is to be the only mesh of the cluster.  [default: true]")  # fmt: skip
@values_options
@click.option("--timeout", type=SECONDS, default="5m", show_default=True, metavar="DURATION",
              help="How long to wait until the mesh is ready.")  # fmt: skip
@click.option("--wait/--no-wait", default=True, show_default=True,
              help="Wait until the mesh is ready.")  # fmt: skip
@click.option("--atomic", is_flag=True, help="When it does not become ready, undo everything.")
@click.option("--force-conflicts", is_flag=True,
              help="Take over fields that others have changed.")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="Print the objects for kubectl; it must know the kinds (`osm crds`) first.")  # fmt: skip
@output_option("json", default="yaml")
@cluster_options
def command(
    *,
    given: Given,
    mesh_name: str | None,
    enforce_single_mesh: bool | None,
    osm_namespace: str,
    dry_run: bool,
    output: str,
    kubeconfig: Path | None,
    context: str | None,
    **how: Any,
) -> None:
    """Install a mesh on a cluster.

    Makes the namespace of the control plane, the CustomResourceDefinitions, and the control plane,
    and waits until it serves. Values have the names of OSM's Helm chart. Installing the same again
    changes nothing; to change an installed mesh, use `osm upgrade`.
    """
    from osm.cli.install_order import order_of, print_documents  # noqa: PLC0415 - slow

    if how["atomic"] and not how["wait"]:
        raise click.UsageError("--atomic waits, so --no-wait contradicts it.")
    source = click.get_current_context().get_parameter_source("osm_namespace")
    order = order_of(
        given.tree({}),
        __version__,
        mesh=mesh_name,
        namespace=None if source == ParameterSource.DEFAULT else osm_namespace,
        single=enforce_single_mesh,
    )
    for remark in order.remarks:
        warn(remark)
    if dry_run:
        print_documents(order, output)
        return
    from osm.cli.install_run import install  # noqa: PLC0415 - needs the extra `kubernetes`

    on_cluster(kubeconfig, context, lambda server: install(server, order, **how))
    here = order.installation
    click.echo(
        f"OSM installed successfully in namespace [{here.namespace}] with mesh name [{here.mesh}]"
    )
