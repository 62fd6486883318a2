"""`osm proxy get`."""

import click

from osm.cli.admin_answer import admin_options, checked_query, show_answer
from osm.cli.client import connect
from osm.cli.command import Verb, invocation, mesh_option
from osm.cli.find_mesh import is_on_cluster
from osm.cli.names import WORKLOAD
from osm.cli.workloads import find_workloads


@click.command(
    "get",
    cls=Verb,
    examples="""
    osm proxy get config_dump bookbuyer -n bookbuyer
    osm proxy get clusters bookstore/bookstore-v2
    osm proxy get 'stats?filter=rbac' bookstore -f stats.txt
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
    """Ask a proxy's admin interface for config_dump, clusters, stats, certs or more.

    QUERY is a path of Envoy's admin interface, with parameters if you like. POD is a workload or
    the Deployment that it belongs to, as NAME or NAMESPACE/NAME. On a cluster its control plane need
    not run, and the namespace is by default the context's.
    """
    query = checked_query(query)
    if is_on_cluster(mesh, told := invocation()):
        from osm.cli.cluster_pods import ask_proxy  # noqa: PLC0415 - slow, and needs an extra

        answer = ask_proxy(told, pod, namespace, query, method="GET", local_port=local_port)
    else:
        with connect(mesh) as client:
            found = find_workloads(client.view(), pod, namespace)
            answer = client.proxy_admin(found[0].namespace, found[0].name, query)
    show_answer(answer, path)
