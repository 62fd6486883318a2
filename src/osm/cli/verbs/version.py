"""`osm version`."""

from typing import TYPE_CHECKING

import click

from osm import __version__
from osm.cli.command import Invocation, Verb, cluster_choice, invocation, output_option
from osm.cli.render import one_line, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osm.cli.cluster_mesh import InstalledMesh
    from osm.cli.cluster_versions import Version
    from osm.kubernetes.api_server import ApiServer

_HEADERS = ("mesh name", "mesh namespace", "version", "git commit", "build date")


@click.command(
    cls=Verb,
    examples="""
    osm version
    osm version --client-only
    osm version --context staging
    osm version -o json
    """,
)
@click.option("--client-only", is_flag=True, help="Ask no mesh.")
@click.option("--version-only", is_flag=True, help="Print the bare versions, this command's first.")
@cluster_choice
@output_option("json", "yaml", default="text")
def command(*, client_only: bool, version_only: bool, output: str) -> None:
    """Print the versions of this command and of the running mesh.

    Asks the meshes of this machine; when none runs, or a cluster is named, those of the cluster.
    """
    if client_only:
        _show({}, output, version_only=version_only, client_only=True)
        return
    # Each is imported when it is needed: `osm version` must be quick.
    from osm.cli.find_mesh import is_on_cluster  # noqa: PLC0415

    told = invocation()
    if is_on_cluster(None, told):
        _show_cluster(told, output, version_only=version_only)
    else:
        _show(_mesh_versions(), output, version_only=version_only, client_only=False)


def _show(meshes: dict[str, str], output: str, *, version_only: bool, client_only: bool) -> None:
    if output != "text":
        answer: dict[str, object] = {"clientVersion": __version__}
        if not client_only:
            answer["meshes"] = [
                {"name": name, "version": version} for name, version in meshes.items()
            ]
        _print_encoded(answer, output)
        return
    click.echo(__version__ if version_only else f"osm {__version__}")
    for name, version in meshes.items():
        click.echo(version if version_only else f"mesh {name} {version}")
    if not (meshes or client_only or version_only):
        click.echo("No mesh is running.")


def _show_cluster(told: Invocation, output: str, *, version_only: bool) -> None:
    if output == "text":  # at once: the cluster may not answer
        click.echo(__version__ if version_only else f"osm {__version__}")
    found = _cluster_versions(told)
    if output != "text":
        meshes = [
            {"name": mesh.mesh, "namespace": mesh.namespace, "version": said.version}
            for mesh, said in found
        ]
        _print_encoded({"clientVersion": __version__, "meshes": meshes}, output)
    elif version_only:
        for _, said in found:
            click.echo(one_line(said.version))
    elif not found:
        click.echo("Unable to find OSM control plane in the cluster")
    else:
        rows = [
            (mesh.mesh, mesh.namespace, said.version, said.git_commit, said.build_date)
            for mesh, said in found
        ]
        click.echo("\n" + table(_HEADERS, rows))


def _print_encoded(answer: dict[str, object], output: str) -> None:
    from osm.cli.encode import encoded  # noqa: PLC0415

    click.echo(encoded(answer, output))


def _cluster_versions(told: Invocation) -> "Sequence[tuple[InstalledMesh, Version]]":
    from osm.cli.cluster_options import on_cluster  # noqa: PLC0415

    async def ask(server: "ApiServer") -> "Sequence[tuple[InstalledMesh, Version]]":
        from osm.cli.cluster_versions import running_versions  # noqa: PLC0415
        from osm.kubernetes.apply import Objects  # noqa: PLC0415

        return await running_versions(Objects(server), told.osm_namespace or "")

    return on_cluster(told.kubeconfig, told.context, ask)


def _mesh_versions() -> dict[str, str]:
    from osm.cli.find_mesh import CONTROL_SOCKET, running_meshes  # noqa: PLC0415
    from osm.local.runtime_directory import runtime_base  # noqa: PLC0415

    base = runtime_base()
    running = running_meshes(base)
    if not running:
        return {}
    from osm.cli.client import MeshClient  # noqa: PLC0415

    versions = {}
    for name in running:
        with MeshClient(base / name / CONTROL_SOCKET, name) as client:
            versions[name] = one_line(client.version())
    return versions
