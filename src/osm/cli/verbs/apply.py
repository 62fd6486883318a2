"""`osm apply`."""

import click

from osm.cli.changes import print_changes
from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.manifest_text import read_manifests
from osm.errors import InvalidObjects


@click.command(
    cls=Verb,
    examples="""
    osm apply -f policies/access.yaml
    osm apply -f manifests/ --dry-run
    osm apply -f demo:allow-bookthief
    osm explain bookthief bookstore:14001 GET /buy-a-book/new -o remedy | osm apply -f -
    """,
)
@click.option(
    "-f",
    "--filename",
    "names",
    multiple=True,
    required=True,
    metavar="FILE|DIR|-|demo:NAME",
    help="What to apply. May be repeated; all of it is applied, or nothing.",
)
@click.option("-R", "--recursive", is_flag=True, help="Look into directories below DIR, too.")
@click.option("--dry-run", is_flag=True, help="Check everything and change nothing.")
@mesh_option
@output_option("json", "yaml", "name", default="text")
def command(
    *, names: tuple[str, ...], recursive: bool, dry_run: bool, mesh: str | None, output: str
) -> None:
    """Create or change objects.

    The mesh writes them into its directory, and they take effect at once. If one of them is wrong,
    none is applied, and every mistake is shown with its file and line.
    """
    manifests = read_manifests(names, recursive=recursive)
    with connect(mesh) as client:
        try:
            results = client.apply(manifests.text, dry_run=dry_run)
        except InvalidObjects as error:
            raise InvalidObjects(error.message, manifests.placed(error.findings)) from error
    print_changes(results, output, dry_run=dry_run)
