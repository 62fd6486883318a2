"""`osm proxy set`."""

import click

from osm.cli.admin_answer import admin_options, checked_query, show_answer
from osm.cli.command import Verb, invocation, mesh_option
from osm.cli.find_mesh import find_mesh, is_on_cluster
from osm.cli.names import WORKLOAD
from osm.errors import UsageError


@click.command(
    "set",
    cls=Verb,
    examples="""
    osm proxy set 'logging?level=debug' bookstore-7d9 -n bookstore
    osm proxy set reset_counters bookstore/bookstore-7d9
    """,
)
@click.argument("query")
@click.argument("pod", type=WORKLOAD)
@admin_options
@mesh_option
def command(
    *,
    query: str,
    pod: str,
    namespace: str | None,
    path: str | None,
    local_port: int | None,
    mesh: str | None,
) -> None:
    """Have a proxy on a cluster do something by its admin interface, until it starts again.

    QUERY is a path of Envoy's admin interface that takes POST, with parameters if you like. POD is a
    pod or the Deployment that it belongs to, as NAME or NAMESPACE/NAME; of several pods the first.
    """
    query = checked_query(query)
    told = invocation()
    if not is_on_cluster(mesh, told):
        find_mesh(mesh)
        raise UsageError(
            "Proxies of a mesh on this machine take no orders.",
            hint="MeshConfig's spec.sidecar.logLevel sets the level of those that start from then on.",
        )
    from osm.cli.cluster_pods import ask_proxy  # noqa: PLC0415 - slow, and needs an extra

    answer = ask_proxy(told, pod, namespace, query, method="POST", local_port=local_port)
    show_answer(answer, path)
