"""`osm verify ingress`."""

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.verify_ingress import IngressQuestion, verify_ingress
from osm.cli.verify_output import PodName, show_result


@click.command(
    "ingress",
    cls=Verb,
    examples="""
    osm verify ingress --from-service e/in --to-pod a/w-1 --to-service web --ingress-backend w --to-port 80
    """,
)
@click.option("--from-service", type=PodName(), required=True, metavar="NAMESPACE/NAME",
              help="The service of those who call from outside of the mesh.")  # fmt: skip
@click.option("--to-pod", type=PodName(), required=True, metavar="NAMESPACE/NAME",
              help="The pod that is called.")  # fmt: skip
@click.option("--to-service", required=True, metavar="NAME", help="The service it stands behind.")
@click.option("--ingress-backend", required=True, metavar="NAME",
              help="The IngressBackend, of the pod's namespace.")  # fmt: skip
@click.option("--to-port", type=click.IntRange(1, 65535), required=True, metavar="PORT",
              help="The pod's port.")  # fmt: skip
@click.option("--app-protocol", type=click.Choice(["http", "https"]), default="http",
              show_default=True, help="What they speak.")  # fmt: skip
@click.option("--mesh-name", "mesh_name", hidden=True, help="As --mesh.")
@mesh_option
@output_option("json", "yaml", default="text")
def command(  # noqa: PLR0913 - OSM's options
    *,
    from_service: str,
    to_pod: str,
    to_service: str,
    ingress_backend: str,
    to_port: int,
    app_protocol: str,
    mesh_name: str | None,
    mesh: str | None,
    output: str,
) -> int:
    """Verify that a service outside of the mesh can call a pod of it. Nothing is sent.

    Exits with 1 unless everything is as it must be.
    """
    namespace = to_pod.partition("/")[0]
    asked = IngressQuestion(
        from_service,
        to_pod,
        _within(namespace, to_service),
        _within(namespace, ingress_backend),
        to_port,
        app_protocol,
    )
    with connect(mesh or mesh_name) as client:
        return show_result(verify_ingress(client, asked), output)


def _within(namespace: str, name: str) -> str:
    return name if "/" in name else f"{namespace}/{name}"
