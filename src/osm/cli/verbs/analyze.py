"""`osm analyze`."""

import click

from osm.cli.command import Verb, mesh_option
from osm.cli.finding_options import finding_options
from osm.cli.finding_report import Report, Wanted, make_report, print_report
from osm.errors import NotRunningError, UsageError


@click.command(
    cls=Verb,
    examples="""
    osm analyze
    osm analyze manifests/
    osm analyze manifests/ new-policy.yaml --failure-threshold warning
    osm analyze -n bookstore --severity warning
    osm analyze manifests/ --suppress 'OSM301=TrafficTarget/bookstore/*'
    osm analyze --page OSM301
    """,
)
@click.argument("names", nargs=-1, metavar="[FILE|DIR|-]...")
@mesh_option
@finding_options
def command(
    *,
    names: tuple[str, ...],
    mesh: str | None,
    wanted: Wanted,
    output: str,
) -> int:
    """Find what is wrong with a mesh as a whole: a running one, or one in files.

    Beside the checks of `osm validate`: what refers to nothing, what contradicts, what can have no
    effect. Without a FILE it asks the running mesh, which also tells what its proxies refuse. Files
    are looked at as if `osm up` ran them and nothing else: what they refer to must be among them.

    Exits with 0 if nothing is wrong, with 1 if something is (see --failure-threshold), and with 2 if
    there was nothing to look at.
    """
    report = _of_files(names, wanted) if names else _of_mesh(mesh, wanted)
    print_report(report, output)
    return report.exit_code


def _of_files(names: tuple[str, ...], wanted: Wanted) -> Report:
    from osm.cli.object_input import describe_input, read_input  # noqa: PLC0415 - not for a mesh
    from osm.runtime.analysis import analyse  # noqa: PLC0415

    read = read_input(names)
    found = (*read.findings, *analyse(read.objects))
    return make_report(found, wanted, describe_input(read))


def _of_mesh(name: str | None, wanted: Wanted) -> Report:
    from osm.cli.client import connect  # noqa: PLC0415 - not for files

    try:
        with connect(name) as client:
            view = client.view()
    except NotRunningError as error:
        # Not 1: that means that something was found.
        hint = f"{error.hint} Or name files: `osm analyze DIRECTORY`."
        raise UsageError(error.message, hint=hint) from error
    looked_at = f"{len(view.objects)} objects of mesh {view.mesh}"
    return make_report(view.findings, wanted, looked_at)
