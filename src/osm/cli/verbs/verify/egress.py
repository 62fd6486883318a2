"""`osm verify egress`."""

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.verbs.verify.connectivity import PROTOCOLS, to_outside
from osm.cli.verify_output import PodName, show_result
from osm.cli.verify_steps import HTTP


@click.command(
    "egress",
    cls=Verb,
    examples="""
    osm verify egress --from-pod curl/curl-5b7 --to-ext-host example.com --to-ext-port 80
    osm verify egress --from-pod curl/curl-5b7 --to-ext-host example.com --to-ext-port 443 --app-protocol tcp
    """,
)
@click.option("--from-pod", type=PodName(), required=True, metavar="NAMESPACE/NAME",
              help="The pod that calls.")  # fmt: skip
@click.option("--to-ext-host", required=True, metavar="HOST", help="A host outside of the mesh.")
@click.option("--to-ext-port", type=click.IntRange(1, 65535), required=True, metavar="PORT",
              help="Its port.")  # fmt: skip
@click.option("--app-protocol", type=click.Choice(PROTOCOLS), default="http", show_default=True,
              help="What they speak.")  # fmt: skip
@click.option("--method", default="GET", show_default=True, help="Of the request, for HTTP.")
@click.option("--path", default="/", show_default=True, help="Of the request, for HTTP.")
@mesh_option
@output_option("json", "yaml", default="text")
def command(
    *,
    from_pod: str,
    to_ext_host: str,
    to_ext_port: int,
    app_protocol: str,
    method: str,
    path: str,
    mesh: str | None,
    output: str,
) -> int:
    """Verify that a pod can call a host outside of the mesh. Nothing is sent.

    Exits with 1 unless everything is as it must be.
    """
    request = (method.upper(), path) if app_protocol in HTTP else ("", "/")
    with connect(mesh) as client:
        result = to_outside(client, from_pod, f"{to_ext_host}:{to_ext_port}", request)
    return show_result(result, output)
