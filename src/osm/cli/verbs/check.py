"""`osm check`."""

import time
from pathlib import Path

import click

from osm.cli.cluster_options import SECONDS, cluster_options, mesh_name_option
from osm.cli.command import Verb, output_option

_PAUSE_S = 2.0


@click.command(
    cls=Verb,
    examples="""
    osm check --pre
    osm check
    osm check --wait 2m
    osm check -o json
    osm check --page root-lasts
    """,
)
@click.option("--pre", "--pre-install", "before", is_flag=True,
              help="Check whether the mesh can be installed, instead of one that is.")  # fmt: skip
@click.option("--wait", type=SECONDS, default=0, metavar="DURATION",
              help="Check again until nothing is wrong, for at most this time, as in 2m.")  # fmt: skip
@click.option(
    "--page", metavar="CHECK", help="Print what is written about a check, and nothing else."
)
@mesh_name_option
@cluster_options
@output_option("json", "yaml", default="text")
def command(
    *,
    before: bool,
    wait: float,
    page: str | None,
    mesh_name: str,
    kubeconfig: Path | None,
    context: str | None,
    osm_namespace: str,
    output: str,
) -> int:
    """Check whether a cluster can have a mesh, or whether its mesh is well.

    Without --pre it looks at the installed control plane, its webhooks and certificates, and at the
    mesh's namespaces and proxies. Nothing is changed.

    Exits with 0 if nothing is wrong, and with 1 if something is. Warnings change nothing.
    """
    from osm.cli.check_report import (  # noqa: PLC0415 - slow
        page_section,
        print_results,
        succeeded,
    )

    if page is not None:
        click.echo(page_section(page))
        return 0
    from osm.cli.check_run import Asked, check  # noqa: PLC0415 - slow

    asked = Asked(kubeconfig, context, mesh_name, osm_namespace, before)
    end = time.monotonic() + wait
    while not succeeded(results := check(asked)) and time.monotonic() < end:
        time.sleep(min(_PAUSE_S, max(0.0, end - time.monotonic())))
    print_results(results, output)
    return 0 if succeeded(results) else 1
