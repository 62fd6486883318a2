"""`osm validate`."""

import click

from osm.cli.command import Verb
from osm.cli.finding_options import finding_options
from osm.cli.finding_report import Wanted, make_report, print_report
from osm.cli.object_input import describe_input, read_input


@click.command(
    cls=Verb,
    examples="""
    osm validate policies/access.yaml
    osm validate manifests/ --failure-threshold warning
    helm template ./chart | osm validate -
    osm validate manifests/ -o json
    osm validate --page OSM131
    """,
)
@click.argument("names", nargs=-1, metavar="FILE|DIR|-...")
@finding_options
def command(
    *,
    names: tuple[str, ...],
    wanted: Wanted,
    output: str,
) -> int:
    """Check objects, each by itself, without a mesh.

    These are the checks of `osm apply`: the form of each object, and what stands in it. How objects
    fit together is what `osm analyze` looks at. Of directories, all .yaml and .yml files below count;
    `-` is the standard input.

    Exits with 0 if nothing is wrong, with 1 if something is (see --failure-threshold), and with 2 if
    nothing could be checked.
    """
    if not names:
        raise click.UsageError("Missing argument 'FILE|DIR|-...'.")
    read = read_input(names)
    report = make_report(read.findings, wanted, describe_input(read))
    print_report(report, output)
    return report.exit_code
