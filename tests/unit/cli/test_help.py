"""Help: complete, with examples that are right, and quick."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from tests.unit.cli.calls import Run

from osm.cli.command import Verb, VerbGroup
from osm.cli.main import VERBS, osm

TABLE = {name: text for verbs in VERBS.values() for name, text in verbs}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Walk through every command, with the words that call it."""
    context = click.Context(osm)
    for name in osm.list_commands(context):
        command = osm.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                inner = command.get_command(context, below)
                assert inner is not None
                yield f"{name} {below}", inner


COMMANDS = tuple(commands())


@pytest.mark.parametrize(("name", "text"), TABLE.items())
def test_the_list_of_verbs_repeats_what_each_verb_says(name: str, text: str) -> None:
    command = dict(COMMANDS)[name]
    assert command.help is not None
    assert command.help.partition("\n\n")[0].replace("\n", " ") == text


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS])
def test_the_help_of_every_command_ends_with_examples(run: Run, words: str) -> None:
    result = run(*words.split(), "--help")
    assert (result.code, result.err) == (0, "")
    assert f"\nExamples:\n  osm {words.split(maxsplit=1)[0]}" in result.out


def _examples() -> Iterator[str]:
    for _, command in COMMANDS:
        if isinstance(command, Verb):
            for line in command.examples:
                yield from (part.strip() for part in re.split(r"[|>]", line) if "osm " in part)


@pytest.mark.parametrize("example", [each for each in _examples() if each.startswith("osm ")])
def test_every_example_is_a_command_that_is_understood(example: str) -> None:
    context = osm.make_context("osm", shlex.split(example)[1:])
    words = [*context._protected_args, *context.args]
    command: click.Command = osm
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
        if isinstance(command, VerbGroup):
            context = command.make_context(command.name, words, parent=context)
            words = [*context._protected_args, *context.args]
    assert isinstance(command, Verb)
    command.make_context(command.name, words, parent=context)


def test_help_without_a_verb_lists_all(run: Run) -> None:
    bare = run()
    assert bare.code == 0
    assert bare == run("--help")
    assert all(f"\n  {name} " in bare.out for name in TABLE)


SLOW = ("asyncio", "httpx2", "msgspec", "rich", "yaml", "starlette", "uvicorn", "grpc")


@pytest.mark.parametrize("arguments", [["--help"], ["version", "--client-only"], ["--version"]])
def test_what_must_be_quick_imports_nothing_slow(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom osm.cli.main import main\n"
        f"code = main({arguments!r})\n"
        f"print(sorted(set({SLOW!r}) & set(sys.modules)), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("shell", ["zsh", "fish", "bash"])
def test_completion_prints_a_script_for_the_shell(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert result.code == 0
    assert f"_OSM_COMPLETE={shell}_complete" in result.out


def test_a_shell_that_completes_is_offered_the_verbs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "osm"],
        env={"_OSM_COMPLETE": "zsh_complete", "COMP_WORDS": "osm ex", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.splitlines()[:2] == ["plain", "explain"]
