"""`osm uninstall mesh`."""

from pathlib import Path

import click
from click.core import ParameterSource

from osm.cli.cluster_options import cluster_options, on_cluster
from osm.cli.command import Verb
from osm.cli.names import CLUSTER_MESH, OBJECT


@click.command(
    "mesh",
    cls=Verb,
    examples="""
    osm uninstall mesh
    osm uninstall mesh --mesh-name osm --force
    osm uninstall mesh -f --delete-namespace --delete-cluster-wide-resources
    """,
)
@click.option("--mesh-name", type=CLUSTER_MESH, metavar="NAME",
              help="The name of the mesh.  [default: ask for each mesh of the cluster]")  # fmt: skip
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("-a", "--delete-cluster-wide-resources", "cluster_wide", is_flag=True,
              help="Delete the CustomResourceDefinitions, all objects of their kinds, and the mesh's "
              "root certificate, too.")  # fmt: skip
@click.option("--delete-namespace", is_flag=True,
              help="Delete the namespace of the control plane, and all that is in it.")  # fmt: skip
@click.option("--ca-bundle-secret-name", "secret", type=OBJECT, metavar="NAME",
              help="The Secret with the root, for -a.  [default: what the mesh uses]")  # fmt: skip
@cluster_options
def command(
    *,
    mesh_name: str | None,
    force: bool,
    cluster_wide: bool,
    delete_namespace: bool,
    secret: str | None,
    kubeconfig: Path | None,
    context: str | None,
    osm_namespace: str,
) -> int:
    """Remove a mesh from a cluster.

    Removes what `osm install` made, and what the control plane made besides, and takes the mesh's
    labels from its namespaces. Pods keep their proxies until they are started again. People's objects, the
    CustomResourceDefinitions, the root certificate and the namespace stay, unless you say otherwise.
    """
    from osm.cli.uninstall_run import Asked, uninstall  # noqa: PLC0415 - needs the extra

    source = click.get_current_context().get_parameter_source("osm_namespace")
    chosen = None if source == ParameterSource.DEFAULT else osm_namespace
    asked = Asked(mesh_name, chosen, force, cluster_wide, delete_namespace, secret)
    return on_cluster(kubeconfig, context, lambda server: uninstall(server, asked))
