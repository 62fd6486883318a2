"""`osm completion`."""

import click
from click.shell_completion import get_completion_class

from osm.cli.command import Verb

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    cls=Verb,
    examples="""
    osm completion bash > ~/.local/share/bash-completion/completions/osm
    osm completion zsh > ~/.zfunc/_osm
    osm completion fish > ~/.config/fish/completions/osm.fish
    """,
)
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print a script that completes commands in a shell."""
    from osm.cli.main import osm  # noqa: PLC0415 - it imports this module

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(osm, {}, "osm", "_OSM_COMPLETE").source())
