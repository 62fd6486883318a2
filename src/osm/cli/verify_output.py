"""How `osm verify` ends: what it prints, and its exit code."""

import click

from osm.cli.encode import encoded
from osm.cli.names import is_label, is_object_name, shortened
from osm.cli.render import printable
from osm.cli.verification import Verified, result_lines


class PodName(click.ParamType[str]):
    """`NAMESPACE/NAME`."""

    name = "pod"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        namespace, slash, name = value.partition("/")
        if not (slash and is_label(namespace) and is_object_name(name)):
            self.fail(f"{shortened(value)} is not NAMESPACE/NAME.", param, ctx)
        return value


def show_result(result: Verified, output: str) -> int:
    """Print a result; returns 0 when it is a success, else 1."""
    if output == "text":
        for line in result_lines(result):
            click.echo(printable(line))
    else:
        click.echo(encoded(result, output))
    return 0 if result.succeeded else 1
