"""`osm proxy bootstrap`."""

import click

from osm.cli.command import Verb
from osm.cli.names import WORKLOAD
from osm.cli.run_options import new_mesh_option


@click.command(
    "bootstrap",
    cls=Verb,
    examples="""
    osm proxy bootstrap bookstore/bookstore-0 --service-account bookstore --directory proxy/
    envoy $(osm proxy bootstrap shop/cart-0 --ads unix:/tmp/ads.sock --directory proxy/)
    """,
)
@click.argument("pod", type=WORKLOAD)
@click.option("--service-account", default="default", show_default=True, metavar="NAME",
              help="The workload's service account.")  # fmt: skip
@click.option("--ads", default="127.0.0.1:15128", show_default=True, metavar="unix:PATH|HOST:PORT",
              help="Where `osm controller` listens.")  # fmt: skip
@click.option("--directory", required=True, metavar="DIR", help="Where the proxy's files go.")
@new_mesh_option
def command(pod: str, service_account: str, ads: str, directory: str, mesh: str) -> None:
    """Write what an Envoy of your own needs to connect to `osm controller`.

    POD is the NAMESPACE/NAME of a Pod object in the controller's directory. Prints Envoy's arguments.
    The files hold a private key: keep them as you would keep a password.
    """
    import asyncio  # noqa: PLC0415 - not for --help
    from pathlib import Path  # noqa: PLC0415

    from osm.runtime.bootstrap_command import (  # noqa: PLC0415
        BootstrapRequest,
        write_bootstrap,
    )

    namespace, slash, name = pod.partition("/")
    if not slash:
        namespace, name = "default", pod
    request = BootstrapRequest(mesh, namespace, name, service_account, ads, Path(directory))
    click.echo(" ".join(asyncio.run(write_bootstrap(request))))
