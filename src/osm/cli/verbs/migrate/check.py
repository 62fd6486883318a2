"""`osm migrate check`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from osm.cli.cluster_options import connection_options, on_cluster
from osm.cli.command import Verb, output_option
from osm.core.migrate.documents import Document

if TYPE_CHECKING:
    from osm.kubernetes.api_server import ApiServer


@click.command(
    "check",
    cls=Verb,
    examples="""
    osm migrate check
    osm migrate check --context production -o json
    osm migrate check deployments.yaml crds.yaml policies.yaml
    """,
)
@click.argument("files", nargs=-1, metavar="[FILE|-]...")
@connection_options
@output_option("json", "yaml", default="text")
def command(
    *, files: tuple[str, ...], kubeconfig: Path | None, context: str | None, output: str
) -> int:
    """Judge an installation of OSM: what carries over, what changes, what is missing.

    Looks at the cluster and changes nothing; or at FILEs, which hold what `kubectl get -o yaml` prints.
    Ends with plans for the way here, and back.

    Exits with 0 if nothing is unsupported, with 1 if something is or could not be looked at, and with 2
    if there is no OSM.
    """
    from osm.cli.migrate_report import exit_code, print_report  # noqa: PLC0415 - slow
    from osm.core.migrate.judge import judge  # noqa: PLC0415
    from osm.errors import UsageError  # noqa: PLC0415

    objects, unseen = _read(files) if files else _ask(kubeconfig, context)
    report = judge(objects)
    if not report.found:
        raise UsageError(
            "There is no control plane of OSM in what was looked at.",
            hint="Its Deployments have the label app=osm-controller.",
        )
    print_report(report, unseen, output)
    return exit_code(report, unseen)


Objects = tuple[tuple[Document, ...], tuple[str, ...]]


def _read(files: tuple[str, ...]) -> Objects:
    from osm.cli.dumped_objects import read_dumps  # noqa: PLC0415 - slow

    return read_dumps(files), ()


def _ask(kubeconfig: Path | None, context: str | None) -> Objects:
    async def ask(server: "ApiServer") -> Objects:
        from osm.kubernetes.apply import Objects as Cluster  # noqa: PLC0415 - the extra
        from osm.kubernetes.former_mesh import gather_former_mesh  # noqa: PLC0415

        seen = await gather_former_mesh(Cluster(server))
        return seen.objects, seen.unseen

    return on_cluster(kubeconfig, context, ask)
