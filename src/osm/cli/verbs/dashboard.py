"""`osm dashboard`."""

import os
import signal
import webbrowser
from contextlib import suppress
from urllib.parse import urlsplit

import click

from osm.cli.client import connect
from osm.cli.command import Invocation, Verb, invocation, mesh_option
from osm.cli.find_mesh import is_on_cluster
from osm.cli.render import one_line
from osm.core.install.names import PAGE_PORT
from osm.errors import OsmError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command(
    cls=Verb,
    examples="""
    osm dashboard
    osm dashboard --no-browser
    osm dashboard --context staging -p 8080
    """,
)
@mesh_option
@click.option(
    "-b",
    "--browser/--no-browser",
    "--open-browser/--no-open-browser",
    "browser",
    default=None,
    help="Open it in a browser.  [default: only where there is a desktop]",
)
@click.option("-p", "--local-port", type=click.IntRange(0, 65535), default=PAGE_PORT,
              show_default=True, metavar="PORT",
              help="On a cluster: the port of this machine; 0 takes any that is free.")  # fmt: skip
@click.option("-r", "--remote-port", type=click.IntRange(1, 65535), default=PAGE_PORT,
              show_default=True, metavar="PORT",
              help="On a cluster: the port of the control plane's pod.")  # fmt: skip
def command(*, mesh: str | None, browser: bool | None, local_port: int, remote_port: int) -> None:
    """Open the web page of a running mesh.

    The page is served by the mesh, on this machine only, or on a cluster by its control plane, whose
    port is forwarded until you press Ctrl-C. Its address is printed in any case.
    """
    if is_on_cluster(mesh, told := invocation()):
        _forward(mesh, told, browser=browser, local_port=local_port, remote_port=remote_port)
        return
    with connect(mesh) as client:
        page = client.view().page
    if not page:
        raise OsmError("The mesh serves no page.", hint="Start it with --page-port 0.")
    _show(page, browser=browser)


def _forward(
    mesh: str | None,
    told: Invocation,
    *,
    browser: bool | None,
    local_port: int,
    remote_port: int,
) -> None:
    from osm.cli.cluster_dashboard import forwarded_page  # noqa: PLC0415 - slow, and an extra

    with forwarded_page(mesh, told, local_port, remote_port) as page:
        click.echo("[+] Starting Dashboard forwarding; Ctrl-C ends it", err=True)
        _show(page, browser=browser)
        with suppress(KeyboardInterrupt):
            signal.pause()


def _show(page: str, *, browser: bool | None) -> None:
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
