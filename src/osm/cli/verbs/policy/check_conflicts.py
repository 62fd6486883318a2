"""`osm policy check-conflicts`."""

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.encode import encoded
from osm.cli.names import split_namespaces
from osm.cli.policy_checks import ingress_conflicts
from osm.errors import UsageError

_KIND = "IngressBackend"


@click.command(
    "check-conflicts",
    cls=Verb,
    examples="""
    osm policy check-conflicts IngressBackend -n bookstore
    """,
)
@click.argument("kind", type=click.Choice([_KIND], case_sensitive=False))
@click.option("-n", "--namespaces", "--namespace", "namespaces", multiple=True, required=True,
              metavar="NAME", help="The one namespace to look in.")  # fmt: skip
@mesh_option
@output_option("json", "yaml", default="text")
def command(*, kind: str, namespaces: tuple[str, ...], mesh: str | None, output: str) -> int:
    """Find IngressBackends that speak of the same backend.

    For a port of a pod the oldest counts, and the others have no effect there (OSM344).

    Exits with 1 if there are any.
    """
    names = split_namespaces(namespaces)
    if len(names) != 1:
        raise UsageError("Name one namespace.", hint="-n NAMESPACE")
    with connect(mesh) as client:
        found = client.objects(kind=kind, namespace=names[0])
    conflicts = ingress_conflicts([item.raw for item in found])
    if output != "text":
        click.echo(encoded({"items": conflicts}, output))
    elif not conflicts:
        click.echo(f"No conflicts among {kind} resources in namespace {names[0]}")
    else:
        for each in conflicts:
            click.echo(f"[+] {kind} {each.first} conflicts with {each.second}:")
            for backend in each.backends:
                click.echo(f"Backend {backend} is in both\n")
    return 1 if conflicts else 0
