"""`osm controller`."""

import re
import sys

import click

from osm.cli.command import Verb
from osm.cli.launch import ControlPlane, control_plane
from osm.cli.manifest_text import existing_path
from osm.cli.names import shortened
from osm.cli.presenters import Lines
from osm.cli.run_options import new_mesh_option, page_port_option, run_and_report
from osm.errors import ConfigError

_ADDRESS = re.compile(r"unix:[^\0]{1,100}|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")


class _AdsAddress(click.ParamType[str]):
    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        match = _ADDRESS.fullmatch(value)
        if match is None or int(match["port"] or 0) > 65535:
            self.fail(f"{shortened(value)} is not unix:PATH or HOST:PORT.", param, ctx)
        return value


@click.command(
    cls=Verb,
    examples="""
    osm controller manifests/
    osm controller manifests/ --ads unix:/tmp/ads.sock
    osm controller manifests/ --ads 127.0.0.1:15128
    """,
)
@click.argument("directory")
@click.option(
    "--ads", type=_AdsAddress(), default="127.0.0.1:15128", show_default=True,
    metavar="unix:PATH|HOST:PORT", help="Where proxies connect.",
)  # fmt: skip
@new_mesh_option
@page_port_option
def command(directory: str, ads: str, mesh: str, page_port: int) -> int:
    """Run the control plane alone, for proxies that others start.

    Reads the YAML files of DIRECTORY and follows their changes. Starts no workloads.
    """
    path = existing_path(directory).absolute()
    if not path.is_dir():
        raise ConfigError(f"{shortened(directory)} is not a directory.")
    start = control_plane(ControlPlane(mesh, path, ads, page_port))
    presenter = Lines(sys.stdout, sys.stderr, logs=False, next_steps=lambda _: (), views=False)
    return run_and_report(start, presenter, duration=None, output="text", summary=False)
