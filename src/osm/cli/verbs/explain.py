"""`osm explain`."""

import re
import sys

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.encode import encoded
from osm.cli.names import WORKLOAD, shortened
from osm.cli.render import number, one_line, paint, printable
from osm.core.explain.explanation import Explanation, Question

_COLOURS = {"ok": "green", "denied": "red", "failed": "red"}
_DESTINATION = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._/-]{0,252}(:[0-9]{1,5})?|\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?"
)
_METHOD = re.compile(r"[A-Z][A-Z-]{0,30}")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_PATH = re.compile(r"/[\x21-\x7e]{0,8191}")


@click.command(
    cls=Verb,
    examples="""
    osm explain bookbuyer bookstore:14001 GET /buy-a-book/new
    osm explain bookthief bookstore:14001 GET /books-bought -H 'client-app: bookthief'
    osm explain bookwarehouse/bookwarehouse mysql:3306
    osm explain bookthief bookstore:14001 GET /buy-a-book/new -o remedy
    """,
)
@click.argument("source", type=WORKLOAD)
@click.argument("destination", metavar="DESTINATION[:PORT]")
@click.argument("method", default="", metavar="[METHOD")
@click.argument("path", default="/", metavar="PATH]")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
              help="A header of the request. May be repeated.")  # fmt: skip
@mesh_option
@output_option("json", "yaml", "remedy", default="text")
def command(
    source: str,
    destination: str,
    method: str,
    path: str,
    headers: tuple[str, ...],
    mesh: str | None,
    output: str,
) -> int:
    """Tell whether a request may pass, where it goes, and why.

    SOURCE is a workload or a Deployment, as NAME or NAMESPACE/NAME, or the address of a caller outside
    of the mesh; then the port is the pods'. Without METHOD the question is about a TCP connection.
    Nothing is sent: the answer comes from the configuration in force.

    Exits with 0 if the request is allowed and with 1 if not. `-o remedy` prints only the YAML that
    would allow it.
    """
    question = _question(source, destination, method, path, headers)
    with connect(mesh) as client:
        explanation = client.explain(question)
    if output == "remedy":
        if explanation.remedy:
            click.echo(printable(explanation.remedy).rstrip("\n"))
        elif not explanation.allowed:
            click.echo("No object would allow it.", err=True)
    elif output == "text":
        _print(explanation)
    else:
        click.echo(encoded(explanation, output))
    return 0 if explanation.allowed else 1


def _question(
    source: str, destination: str, method: str, path: str, headers: tuple[str, ...]
) -> Question:
    if not _DESTINATION.fullmatch(destination) or _port_of(destination) > 65535:
        raise click.BadParameter(
            f"{shortened(destination)} is not HOST or HOST:PORT.", param_hint="'DESTINATION'"
        )
    method = method.upper()
    if method and not _METHOD.fullmatch(method):
        raise click.BadParameter(
            f"{shortened(method)} is not an HTTP method.", param_hint="'METHOD'"
        )
    if not _PATH.fullmatch(path):
        raise click.BadParameter(
            f"{shortened(path)} is not the path of a request, such as /books?page=2.",
            param_hint="'PATH'",
        )
    if headers and not method:
        raise click.UsageError("A TCP connection has no headers: give METHOD and PATH, too.")
    pairs = []
    for header in headers:
        match = _HEADER.fullmatch(header)
        if match is None:
            raise click.BadParameter(
                f"{shortened(header)} is not 'NAME: VALUE'.", param_hint="'--header'"
            )
        pairs.append((match[1].lower(), match[2].strip()))
    return Question(source, destination, method, path, tuple(pairs))


def _port_of(destination: str) -> int:
    port = destination.rpartition(":")[2]
    return int(port) if port.isdecimal() else 0


def _print(explanation: Explanation) -> None:
    asked = explanation.question
    request = f" {asked.method} {asked.path}" if asked.method else " (TCP)"
    verdict = paint(
        one_line(explanation.verdict).upper(),
        "green" if explanation.allowed else "red",
        sys.stdout,
        bold=True,
    )
    click.echo(f"{one_line(asked.source)} -> {one_line(asked.destination + request)}: {verdict}")
    click.echo(one_line(explanation.summary) + "\n")
    for step in explanation.steps:
        outcome = f"{one_line(step.outcome):<7}"
        if step.outcome in _COLOURS:
            outcome = paint(outcome, _COLOURS[step.outcome], sys.stdout)
        click.echo(f"  {outcome} {one_line(step.title)}: {one_line(step.text)}")
        for origin in step.origins:
            click.echo(f"          by {one_line(str(origin))}")
    if explanation.backends:
        click.echo("\nIt goes to:" if explanation.allowed else "\nIt would go to:")
        for backend, share in explanation.backends:
            click.echo(f"  {number(share):>4}%  {one_line(backend)}")
    if explanation.remedy:
        click.echo("\nThis would allow it (`-o remedy` prints it alone, for `osm apply -f -`):\n")
        for line in printable(explanation.remedy).rstrip("\n").split("\n"):
            click.echo(f"  {line}".rstrip())
