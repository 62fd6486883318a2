"""`osm support bug-report`."""

import tempfile
import time
from pathlib import Path

import click

from osm.cli.command import Verb, invocation, mesh_option
from osm.cli.find_mesh import require_cluster_support
from osm.cli.names import WORKLOAD, split_namespaces
from osm.cli.render import printable


@click.command(
    "bug-report",
    cls=Verb,
    examples="""
    osm support bug-report
    osm support bug-report --app-namespaces bookbuyer,bookstore
    osm support bug-report --app-pods bookstore/bookstore-7d9 -o report.tar.gz
    osm support bug-report --all --ingress
    """,
)
@click.option("--all", "everything", is_flag=True, help="All pods of the mesh.")
@click.option("--app-namespaces", multiple=True, metavar="NAME[,NAME]",
              help="The pods of these namespaces. May be repeated.")  # fmt: skip
@click.option("--app-deployments", multiple=True, type=WORKLOAD, metavar="NAMESPACE/NAME",
              help="The pods of a Deployment. May be repeated.")  # fmt: skip
@click.option("--app-pods", multiple=True, type=WORKLOAD, metavar="NAMESPACE/NAME",
              help="A pod. May be repeated.")  # fmt: skip
@click.option("--ingress", is_flag=True, help="What says who may call from outside, too.")
@click.option("-o", "--out-file", type=click.Path(path_type=Path), metavar="FILE",
              help="A new file that ends in .tar.gz, .tgz or .tar.  [default: one in the directory for "
                   "temporary files]")  # fmt: skip
@mesh_option
def command(
    *,
    everything: bool,
    app_namespaces: tuple[str, ...],
    app_deployments: tuple[str, ...],
    app_pods: tuple[str, ...],
    ingress: bool,
    out_file: Path | None,
    mesh: str | None,
) -> None:
    """Gather what somebody needs who looks into a problem of a mesh on a cluster.

    That is: the control plane's objects and logs, the mesh's objects, events; and of the pods that are
    named the logs of their proxies and what these run. kubectl is not needed. What cannot be had is
    listed in problems.txt.

    Of Secrets only the names are in it; private keys, tokens and passwords are removed from everything
    else, as far as they can be known by their names or looks. Look through it before you pass it on.
    """
    require_cluster_support()
    from osm.cli.cluster_report import Wanted, write_report  # noqa: PLC0415 - slow, and an extra

    wanted = Wanted(
        everything, split_namespaces(app_namespaces), app_deployments, app_pods, ingress
    )
    stamp = time.strftime("%Y%m%dT%H%M%S")
    path = out_file or Path(tempfile.gettempdir()) / f"osm-bug-report-{stamp}.tar.gz"
    click.echo("[+] Gathering what there is", err=True)
    for problem in write_report(invocation(), mesh, wanted, path):
        click.echo(f"[-] {printable(problem)}", err=True)
    click.echo(f"[+] Bug report written to {path}")
