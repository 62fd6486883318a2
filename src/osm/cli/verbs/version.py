"""`osm version`."""

import click

from osm import __version__
from osm.cli.command import Verb, output_option
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
        from osm.cli.encode import encoded  # noqa: PLC0415

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
    # Each is imported when it is needed: `osm version` must be quick.
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
