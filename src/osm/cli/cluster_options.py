"""The options of verbs that speak to a cluster, and the way there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from osm.cli.command import Decorated
from osm.cli.names import CLUSTER_MESH, NAMESPACE, shortened
from osm.core.api.duration import parse_duration
from osm.errors import PlatformError

if TYPE_CHECKING:  # the package is there only with the extra `kubernetes`, and slow
    from osm.kubernetes.api_server import ApiServer

DEFAULT_OSM_NAMESPACE = "osm-system"
Answer = TypeVar("Answer")


def cluster_options(function: Decorated) -> Decorated:
    """Add `--kubeconfig`, `--context` and `--osm-namespace`: three arguments of the same names."""
    return connection_options(
        click.option(
            "--osm-namespace",
            type=NAMESPACE,
            envvar="OSM_NAMESPACE",
            default=DEFAULT_OSM_NAMESPACE,
            show_default=True,
            metavar="NAME",
            help="The namespace of the control plane.",
        )(function)
    )


def connection_options(function: Decorated) -> Decorated:
    """Add `--kubeconfig` and `--context` alone."""
    for option in (
        click.option("--context", metavar="NAME", help="The context of the kubeconfig to use."),
        click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The kubeconfig to use.  [default: $KUBECONFIG, or ~/.kube/config]",
        ),
    ):
        function = option(function)
    return function


def mesh_name_option(function: Decorated) -> Decorated:
    """Add `--mesh-name`, as OSM calls it."""
    return click.option(
        "--mesh-name",
        type=CLUSTER_MESH,
        envvar="OSM_MESH",
        default="osm",
        show_default=True,
        metavar="NAME",
        help="The name of the mesh.",
    )(function)


class _Seconds(click.ParamType[float]):
    """A duration as Go and people write it, as seconds."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, int | float):
            return float(value)
        try:
            seconds = parse_duration(value) / 1e9
        except ValueError:
            self.fail(f"{shortened(value)} is not a duration such as 90s or 5m.", param, ctx)
        if seconds < 0:
            self.fail("a duration cannot be negative.", param, ctx)
        return seconds


SECONDS = _Seconds()


@asynccontextmanager
async def open_api_server(
    kubeconfig: Path | None, context: str | None
) -> AsyncIterator["ApiServer"]:
    """A cluster's API, chosen as kubectl does. Its errors become words for people."""
    try:
        from osm.kubernetes.api_server import ApiServer, Status, Unreachable  # noqa: PLC0415
        from osm.kubernetes.failure import explain  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise PlatformError(
            f"What speaks to clusters is not installed: there is no {error.name}.",
            hint="pip install 'openservicemesh[kubernetes]'",
        ) from error
    server = ApiServer.open(kubeconfig, context)
    try:
        yield server
    except (Status, Unreachable) as error:
        raise explain(error) from error
    finally:
        await server.close()


def on_cluster(
    kubeconfig: Path | None,
    context: str | None,
    ask: Callable[["ApiServer"], Coroutine[Any, Any, Answer]],
) -> Answer:
    """Run what a verb does with a cluster, to its end."""

    async def run() -> Answer:
        async with open_api_server(kubeconfig, context) as server:
            return await ask(server)

    return asyncio.run(run())
