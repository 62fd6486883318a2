"""`osm explain`."""

import re
import sys

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.denials import chosen_refusal, print_denials
from osm.cli.encode import encoded
from osm.cli.explained import print_explanation
from osm.cli.names import WORKLOAD, shortened
from osm.cli.render import printable
from osm.core.explain.explanation import Explanation, Question

_DESTINATION = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._/-]{0,252}(:[0-9]{1,5})?|\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?"
)
_METHOD = re.compile(r"[A-Z][A-Z-]{0,30}")
_HEADER = re.compile(r"(:authority|[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_PATH = re.compile(r"/[\x21-\x7e]{0,8191}")
_LATEST = "latest"
"""`--denied` without a value."""

Headers = tuple[tuple[str, str], ...]


@click.command(
    cls=Verb,
    examples="""
    osm explain bookbuyer bookstore:14001 GET /buy-a-book/new
    osm explain bookthief bookstore:14001 GET /books-bought -H 'client-app: bookthief'
    osm explain bookwarehouse/bookwarehouse mysql:3306
    osm explain bookthief bookstore:14001 GET /buy-a-book/new -o remedy
    osm explain --denied
    osm explain --denied 1
    osm logs bookstore --proxy | grep denied | tail -1 | osm explain --denied -
    """,
)
@click.argument("source", type=WORKLOAD, metavar="SOURCE", required=False)
@click.argument("destination", metavar="DESTINATION[:PORT]", required=False)
@click.argument("method", default="", metavar="[METHOD")
@click.argument("path", default="/", metavar="PATH]")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
              help="A header of the request; `host` is the authority. May be repeated.")  # fmt: skip
@click.option("--denied", is_flag=False, flag_value=_LATEST, metavar="[NUMBER|TEXT|-]",
              help="Explain something that was refused: the last ones as a list, one of it by its number, "
                   "or what an answer or a log says (`-`: on standard input).")  # fmt: skip
@mesh_option
@output_option("json", "yaml", "remedy", default="text")
@click.pass_context
def command(  # noqa: PLR0913 - a parameter for each argument and option
    ctx: click.Context,
    *,
    source: str | None,
    destination: str | None,
    method: str,
    path: str,
    headers: tuple[str, ...],
    denied: str | None,
    mesh: str | None,
    output: str,
) -> int:
    """Tell whether a request may pass, where it goes, and why.

    SOURCE is a workload or a Deployment, as NAME or NAMESPACE/NAME, or the address of a caller outside
    of the mesh; then the port is the pods'. Without METHOD the question is about a TCP connection.
    Nothing is sent: the answer comes from the configuration in force.

    With --denied and the body of a 403, a line of a proxy's log or a JSON entry of an access log, that
    request is asked about: why it was refused, and whether it would be now. OSM's access logs do not
    say who called: give SOURCE as well.

    Exits with 0 if the request is allowed, with 1 if not, and with 2 if the question is none.
    `-o remedy` prints only the YAML that would allow it. `-o json` and `-o yaml` print `question`,
    `verdict`, `allowed`, `summary`, `steps` (`title`, `outcome`, `text`, and in `origins` each object
    with its field), `backends` (name and percentage), `remedy`, `advice` and `workloads`.
    """
    pairs = _pairs(headers)
    if denied is not None:
        if destination is not None:
            raise click.UsageError("--denied names the request: give no DESTINATION beside it.")
        return _explain_denied(mesh, denied, source or "", pairs, output)
    for name, value in (("SOURCE", source), ("DESTINATION[:PORT]", destination)):
        if value is None:
            raise click.MissingParameter(ctx=ctx, param_hint=f"'{name}'", param_type="argument")
    question = _question(str(source), str(destination), method, path, pairs)
    with connect(mesh) as client:
        explanation = client.explain(question)
    return _show(explanation, output)


def _explain_denied(
    mesh: str | None, denied: str, source: str, headers: Headers, output: str
) -> int:
    with connect(mesh) as client:
        if denied == _LATEST:
            print_denials(client.view(), output)
            return 0
        text = sys.stdin.read() if denied == "-" else denied
        refusal = chosen_refusal(client, text, source, headers)
        return _show(client.explain_refusal(refusal), output)


def _show(explanation: Explanation, output: str) -> int:
    if output == "remedy":
        if explanation.remedy:
            click.echo(printable(explanation.remedy).rstrip("\n"))
        elif not explanation.allowed:
            click.echo("No object would allow it.", err=True)
            for sentence in explanation.advice:
                click.echo(f"  {printable(sentence)}", err=True)
    elif output == "text":
        print_explanation(explanation, sys.stdout)
    else:
        click.echo(encoded(explanation, output))
    return 0 if explanation.allowed else 1


def _question(source: str, destination: str, method: str, path: str, headers: Headers) -> Question:
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
    return Question(source, destination, method, path, headers)


def _pairs(headers: tuple[str, ...]) -> Headers:
    pairs = []
    for header in headers:
        match = _HEADER.fullmatch(header)
        if match is None:
            raise click.BadParameter(
                f"{shortened(header)} is not 'NAME: VALUE'.", param_hint="'--header'"
            )
        pairs.append((match[1].lower(), match[2].strip()))
    return tuple(pairs)


def _port_of(destination: str) -> int:
    port = destination.rpartition(":")[2]
    return int(port) if port.isdecimal() else 0
