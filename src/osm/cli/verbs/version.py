"""`osm version`."""

import os

import click

from osm import __version__
from osm.cli.command import Verb, output_option
from osm.cli.find_mesh import CONTROL_SOCKET, running_meshes, runtime_root
from osm.cli.render import one_line


@click.command(
    cls=Verb,
    examples="""
    osm version
    osm version --client-only
    osm version -o json
    """,
)
@click.option("--client-only", is_flag=True, help="Ask no mesh.")
@output_option("json", "yaml", default="text")
def command(*, client_only: bool, output: str) -> None:
    """Print the versions of this command and of the running mesh."""
    meshes = {} if client_only else _mesh_versions()
    if output != "text":
        from osm.cli.encode import encoded  # noqa: PLC0415 - `osm version` must be quick

        answer: dict[str, object] = {"clientVersion": __version__}
        if not client_only:
            answer["meshes"] = [
                {"name": name, "version": version} for name, version in meshes.items()
            ]
        click.echo(encoded(answer, output))
        return
    click.echo(f"osm {__version__}")
    for name, version in meshes.items():
        click.echo(f"mesh {name} {version}")
    if not meshes and not client_only:
        click.echo("No mesh is running.")


def _mesh_versions() -> dict[str, str]:
    root = runtime_root(os.environ, os.getuid())
    running = running_meshes(root)
    if not running:
        return {}
    from osm.cli.client import MeshClient  # noqa: PLC0415 - as above

    versions = {}
    for name in running:
        with MeshClient(root / name / CONTROL_SOCKET, name) as client:
            versions[name] = one_line(client.version())
    return versions
