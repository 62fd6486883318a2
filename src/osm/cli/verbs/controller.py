"""`osm controller`."""

import re
import socket
import sys
from pathlib import Path

import click

from osm import __version__
from osm.cli.cluster_options import cluster_options
from osm.cli.command import Verb
from osm.cli.launch import (
    ClusterControlPlane,
    ControlPlane,
    cluster_control_plane,
    control_plane,
)
from osm.cli.manifest_text import existing_path
from osm.cli.names import CLUSTER_MESH, MESH, shortened
from osm.cli.presenters import Lines
from osm.cli.run_options import page_port_option, run_and_report
from osm.core.install.names import CA_SECRET, shipped_image
from osm.errors import ConfigError

LEVELS = ("trace", "debug", "info", "warn", "error", "fatal", "panic", "disabled")
"""OSM's."""
_ADDRESS = re.compile(r"unix:[^\0]{1,100}|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")


class _AdsAddress(click.ParamType[str]):
    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        match = _ADDRESS.fullmatch(value)
        if match is None or int(match["port"] or 0) > 65535:
            self.fail(f"{shortened(value)} is not unix:PATH or HOST:PORT.", param, ctx)
        return value


@click.command(
    cls=Verb,
    examples="""
    osm controller manifests/
    osm controller manifests/ --ads unix:/tmp/ads.sock
    osm controller --kubernetes --mesh-name osm --osm-namespace osm-system
    """,
)
@click.argument("directory", required=False)
@click.option(
    "--ads",
    type=_AdsAddress(),
    default="127.0.0.1:15128",
    show_default=True,
    metavar="unix:PATH|HOST:PORT",
    help="Where proxies connect.",
)
@click.option(
    "--kubernetes", is_flag=True, help="Serve a cluster's mesh: `osm install` starts this."
)
@click.option(
    "--pod-name",
    envvar="CONTROLLER_POD_NAME",
    default="",
    metavar="NAME",
    help="With --kubernetes: the name of this replica.  [default: $CONTROLLER_POD_NAME]",
)
@click.option(
    "--envoy-image",
    envvar="OSM_DEFAULT_ENVOY_IMAGE",
    default="",
    metavar="IMAGE",
    help="With --kubernetes: of proxies.  [default: $OSM_DEFAULT_ENVOY_IMAGE]",
)
@click.option(
    "--init-image",
    envvar="OSM_DEFAULT_INIT_CONTAINER_IMAGE",
    default="",
    metavar="IMAGE",
    help="With --kubernetes: of init containers.  [default: $OSM_DEFAULT_INIT_CONTAINER_IMAGE]",
)
@click.option(
    "--trust-domain",
    default="cluster.local",
    show_default=True,
    metavar="NAME",
    help="With --kubernetes: of all identities.",
)
@click.option(
    "--former-mesh-name",
    type=CLUSTER_MESH,
    metavar="NAME",
    help="With --kubernetes: a mesh of OSM v1 in the cluster that this one takes over from.",
)
@click.option(
    "--ca-bundle-secret-name",
    default=CA_SECRET,
    show_default=True,
    metavar="NAME",
    help="With --kubernetes: the Secret of the root certificate.",
)
@click.option(
    "--validate-traffic-target",
    type=bool,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="With --kubernetes: refuse a TrafficTarget in another namespace than its destination's.",
)
@click.option(
    "--webhook-timeout",
    type=click.IntRange(1, 30),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="With --kubernetes: how long the API server waits for an answer about a pod.",
)
@click.option(
    "--verbosity",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    help="With --kubernetes: what is logged until MeshConfig says something else.",
)
@cluster_options
@click.option(
    "--mesh",
    "--mesh-name",
    "mesh",
    type=CLUSTER_MESH,
    envvar="OSM_MESH",
    default="osm",
    show_default=True,
    metavar="NAME",
    help="What to call the mesh.",
)
@page_port_option
def command(  # noqa: PLR0913 - a flag each
    directory: str | None,
    ads: str,
    *,
    kubernetes: bool,
    pod_name: str,
    envoy_image: str,
    init_image: str,
    trust_domain: str,
    former_mesh_name: str | None,
    ca_bundle_secret_name: str,
    validate_traffic_target: bool,
    webhook_timeout: int,
    verbosity: str,
    kubeconfig: Path | None,
    context: str | None,
    osm_namespace: str,
    mesh: str,
    page_port: int,
) -> int:
    """Run the control plane alone, for proxies that others start.

    Reads the YAML files of DIRECTORY and follows their changes. Starts no workloads. With --kubernetes,
    a cluster is what it reads.
    """
    if kubernetes == (directory is not None):
        raise click.UsageError("Name a DIRECTORY, or say --kubernetes.")
    if kubernetes:
        asked = ClusterControlPlane(
            mesh=mesh,
            namespace=osm_namespace,
            pod_name=pod_name or socket.gethostname(),
            envoy_image=envoy_image or shipped_image("osm-envoy", __version__),
            init_image=init_image or shipped_image("osm-init", __version__),
            trust_domain=trust_domain,
            former_mesh=former_mesh_name or "",
            ca_secret=ca_bundle_secret_name,
            validate_traffic_target=validate_traffic_target,
            webhook_timeout_s=webhook_timeout,
            log_level=verbosity,
            kubeconfig=kubeconfig,
            context=context,
        )
        start = cluster_control_plane(asked)
    else:
        path = existing_path(directory or "").absolute()
        if not path.is_dir():
            raise ConfigError(f"{shortened(directory or '')} is not a directory.")
        MESH.convert(mesh, None, None)  # its sockets have names, which must not be long
        start = control_plane(ControlPlane(mesh, path, ads, page_port))
    # In a pod, the log is what `kubectl logs` shows.
    presenter = Lines(sys.stdout, sys.stderr, logs=kubernetes, next_steps=lambda _: (), views=False)
    return run_and_report(start, presenter, duration=None, output="text", summary=False)
