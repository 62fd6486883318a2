"""`osm verify connectivity`."""

import click

from osm.cli.client import MeshClient, connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.names import is_label
from osm.cli.verification import Verified, together, verified
from osm.cli.verify_output import PodName, show_result
from osm.cli.verify_steps import (
    HTTP,
    behind_step,
    config_step,
    namespace_step,
    proxy_step,
    request_step,
    service_ports,
)
from osm.cli.workloads import find_workloads
from osm.core.explain.explanation import Question
from osm.errors import UsageError

PROTOCOLS = ("http", "grpc", "tcp", "tcp-server-first")


@click.command(
    "connectivity",
    cls=Verb,
    examples="""
    osm verify connectivity --from-pod web/web-1 --to-pod shop/cart-1 --to-service cart
    osm verify connectivity --from-pod web/web-1 --to-ext-host example.com --to-ext-port 80
    """,
)
@click.option("--from-pod", type=PodName(), required=True, metavar="NAMESPACE/NAME",
              help="The pod that calls.")  # fmt: skip
@click.option("--to-pod", type=PodName(), metavar="NAMESPACE/NAME", help="The pod that is called.")
@click.option("--to-service", metavar="NAME", help="The service by which it is called.")
@click.option("--to-ext-host", metavar="HOST", help="A host outside of the mesh.")
@click.option("--to-ext-port", type=click.IntRange(1, 65535), metavar="PORT", help="Its port.")
@click.option("--app-protocol", type=click.Choice(PROTOCOLS), default="http", show_default=True,
              help="What they speak.")  # fmt: skip
@click.option("--method", default="GET", show_default=True, help="Of the request, for HTTP.")
@click.option("--path", default="/", show_default=True, help="Of the request, for HTTP.")
@click.option("--mesh-name", "mesh_name", hidden=True, help="As --mesh.")
@mesh_option
@output_option("json", "yaml", default="text")
def command(  # noqa: PLR0913 - OSM's options
    *,
    from_pod: str,
    to_pod: str | None,
    to_service: str | None,
    to_ext_host: str | None,
    to_ext_port: int | None,
    app_protocol: str,
    method: str,
    path: str,
    mesh_name: str | None,
    mesh: str | None,
    output: str,
) -> int:
    """Verify that a pod can call another one, or a host outside of the mesh.

    Looks at namespaces, proxies, what they run, and the policies. Nothing is sent. Exits with 1 unless
    everything is as it must be.
    """
    inside, outside = bool(to_pod and to_service), bool(to_ext_port)
    if inside == outside:
        raise click.UsageError(
            "Give --to-pod and --to-service, or --to-ext-port and --to-ext-host."
        )
    request = (method.upper(), path) if app_protocol in HTTP else ("", "/")
    with connect(mesh or mesh_name) as client:
        if inside:
            result = _to_pod(client, from_pod, str(to_pod), str(to_service), app_protocol, request)
        else:
            destination = f"{to_ext_host or ''}:{to_ext_port}"
            result = to_outside(client, from_pod, destination, request)
    return show_result(result, output)


def _to_pod(
    client: MeshClient,
    from_pod: str,
    to_pod: str,
    to_service: str,
    protocol: str,
    request: tuple[str, str],
) -> Verified:
    view = client.view()
    source = find_workloads(view, from_pod, None)[0]
    destination = find_workloads(view, to_pod, None)[0]
    namespace, _, name = to_service.rpartition("/")
    if namespace not in ("", destination.namespace) or not is_label(name):
        raise UsageError(f"{to_service[:80]} is no service of the pod's namespace.")
    services = client.objects(kind="Service", namespace=destination.namespace)
    ports = service_ports([each.raw for each in services if each.key.name == name], protocol)
    service = f"{destination.namespace}/{name}"
    steps = [
        *(namespace_step(client, each) for each in (source.namespace, destination.namespace)),
        *(proxy_step(view, each) for each in (source, destination)),
        behind_step(destination, service),
        *(config_step(client, view, each) for each in (source, destination)),
    ]
    if not ports:
        problem = f'Service "{service}" does not exist, or has no port that speaks {protocol}'
        steps.append(verified("Verify the service's ports", problem, "Give --app-protocol"))
    for port in ports:
        host = f"{name}.{destination.namespace}:{port}"
        steps.append(request_step(client, Question(from_pod, host, *request)))
    context = f'Verify if pod "{from_pod}" can access pod "{to_pod}" for service "{service}"'
    return together(context, steps)


def to_outside(
    client: MeshClient, from_pod: str, destination: str, request: tuple[str, str]
) -> Verified:
    """Verify that a pod can call a host outside of the mesh."""
    view = client.view()
    source = find_workloads(view, from_pod, None)[0]
    steps = [
        namespace_step(client, source.namespace),
        proxy_step(view, source),
        config_step(client, view, source),
        request_step(client, Question(from_pod, destination, *request)),
    ]
    return together(
        f'Verify if pod "{from_pod}" can access external service "{destination}"', steps
    )
