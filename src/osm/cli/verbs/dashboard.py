"""`osm dashboard`."""

import os
import webbrowser
from urllib.parse import urlsplit

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option
from osm.cli.render import one_line
from osm.errors import OsmError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command(
    cls=Verb,
    examples="""
    osm dashboard
    osm dashboard --no-browser
    """,
)
@mesh_option
@click.option(
    "--browser/--no-browser",
    default=None,
    help="Open it in a browser.  [default: only where there is a desktop]",
)
def command(*, mesh: str | None, browser: bool | None) -> None:
    """Open the web page of a running mesh.

    The page is served by the mesh, on this machine only. Its address is printed in any case.
    """
    with connect(mesh) as client:
        page = client.view().page
    if not page:
        raise OsmError("The mesh serves no page.", hint="Start it with --page-port 0.")
    click.echo(one_line(page))
    if browser is None:
        browser = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if browser:
        _open(page)


def _open(page: str) -> None:
    address = urlsplit(page)
    if address.scheme != "http" or address.hostname not in _LOOPBACK:
        raise OsmError("The page's address is not on this machine: it was not opened.")
    if not webbrowser.open(address.geturl()):
        raise OsmError("No browser could be opened.", hint="Open the address yourself.")
