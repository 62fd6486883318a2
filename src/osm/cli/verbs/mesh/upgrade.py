"""`osm mesh upgrade`, which is `osm upgrade` as well."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from osm.cli.cluster_options import SECONDS, cluster_options, mesh_name_option, on_cluster
from osm.cli.command import Verb
from osm.cli.install_options import Given, values_options


def upgrade_command(words: str) -> click.Command:
    """The verb, as `words` call it."""

    @click.command(
        "upgrade",
        cls=Verb,
        examples=f"""
        {words}
        {words} --dry-run
        {words} --set osm.osmController.replicaCount=2
        {words} --mesh-name shop --osm-namespace shop-mesh --timeout 10m
        {words} --reset-values -f values.yaml
        """,
    )
    @mesh_name_option
    @values_options
    @click.option("--reset-values", is_flag=True,
                  help="Forget the values of before; without it they are kept.")  # fmt: skip
    @click.option("--timeout", type=SECONDS, default="5m", show_default=True, metavar="DURATION",
                  help="How long to wait until the new pods serve.")  # fmt: skip
    @click.option("--wait/--no-wait", default=True, show_default=True,
                  help="Wait until the new pods serve.")  # fmt: skip
    @click.option("--force-conflicts", is_flag=True,
                  help="Take over fields that others have changed.")  # fmt: skip
    @click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
    @cluster_options
    def command(
        *,
        given: Given,
        mesh_name: str,
        osm_namespace: str,
        kubeconfig: Path | None,
        context: str | None,
        **how: Any,
    ) -> None:
        """Bring an installed mesh to this version of osm, or to other values.

        Pods of the control plane are replaced one by one, and proxies keep what they know meanwhile.
        What the new version does not have is deleted. MeshConfig is left as it is.
        """
        from osm.cli.upgrade_run import Asked, upgrade  # noqa: PLC0415 - needs the extra

        source = click.get_current_context().get_parameter_source("osm_namespace")
        chosen = None if source == ParameterSource.DEFAULT else osm_namespace
        asked = Asked(mesh_name, chosen, given, **how)
        here = on_cluster(kubeconfig, context, lambda server: upgrade(server, asked))
        if not asked.dry_run:
            click.echo(
                f"OSM successfully upgraded mesh [{here.mesh}] in namespace [{here.namespace}]"
            )

    return command


command = upgrade_command("osm mesh upgrade")
