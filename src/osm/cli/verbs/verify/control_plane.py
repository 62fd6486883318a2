"""`osm verify control-plane`, which OSM called `control-plane-health`."""

from typing import TYPE_CHECKING

import click

from osm.cli.cluster_options import on_cluster
from osm.cli.command import Verb, invocation, mesh_option, output_option
from osm.cli.verify_output import show_result

if TYPE_CHECKING:
    from osm.cli.verification import Verified
    from osm.kubernetes.api_server import ApiServer


@click.command(
    "control-plane",
    cls=Verb,
    examples="""
    osm verify control-plane
    osm verify control-plane --mesh shop -o json
    """,
)
@mesh_option
@output_option("json", "yaml", default="text")
def command(*, mesh: str | None, output: str) -> int:
    """Verify that the control plane on a cluster is well: its pods, what they answer, its webhooks.

    Exits with 1 unless everything is as it must be. `osm check` looks at more.
    """
    return _verify(mesh, output)


@click.command(
    "control-plane-health",
    cls=Verb,
    hidden=True,
    examples="""
    osm verify control-plane-health
    """,
)
@mesh_option
@output_option("json", "yaml", default="text")
def as_osm_names_it(*, mesh: str | None, output: str) -> int:
    """As `osm verify control-plane`."""
    return _verify(mesh, output)


def _verify(mesh: str | None, output: str) -> int:
    told = invocation()

    async def ask(server: "ApiServer") -> "Verified":
        from osm.cli.cluster_health import verify_control_plane  # noqa: PLC0415 - an extra
        from osm.kubernetes.apply import Objects  # noqa: PLC0415

        return await verify_control_plane(Objects(server), mesh, told.osm_namespace or "")

    return show_result(on_cluster(told.kubeconfig, told.context, ask), output)
