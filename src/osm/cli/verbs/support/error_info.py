"""`osm support error-info`."""

import click

from osm.cli.command import Verb, output_option
from osm.cli.encode import encoded
from osm.cli.error_codes import ErrorCode, explain_code
from osm.cli.finding_pages import list_pages
from osm.cli.render import table


@click.command(
    "error-info",
    cls=Verb,
    examples="""
    osm support error-info
    osm support error-info OSM301
    """,
)
@click.argument("code", required=False)
@output_option("json", "yaml")
def command(*, code: str | None, output: str) -> None:
    """Tell what an error code means, or list all.

    `osm analyze --page CODE` prints the whole page about a code. Codes of OSM v1 (E and four digits) are
    known by what they were about.
    """
    known = tuple(ErrorCode(page.code, page.title) for page in list_pages())
    codes = (explain_code(code, known),) if code else known
    if output in ("json", "yaml"):
        click.echo(encoded({"items": codes}, output))
    else:
        rows = [(each.code, each.description) for each in codes]
        click.echo(table(("error code", "error description"), rows))
