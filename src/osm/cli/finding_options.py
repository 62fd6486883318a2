"""The options that `validate` and `analyze` share: which findings to show, and which ones count."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from osm.cli.command import output_option
from osm.cli.finding_pages import list_pages, read_page
from osm.cli.finding_report import SEVERITIES, Suppression, Wanted
from osm.cli.names import NAMESPACE, shortened
from osm.cli.render import printable, table
from osm.core.model.origin import Severity

_CHOICES = ("namespace", "all_namespaces", "severity", "failure_threshold", "suppress")
_SUPPRESSION = re.compile(r"(OSM\d{3})(?:=(\S+))?")
_LEVELS = click.Choice([severity.value for severity in reversed(SEVERITIES)])


def finding_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add them, as one argument `wanted`, and `-o`."""

    @wraps(function)
    def understood(**given: Any) -> int:
        list_codes, page = given.pop("list_codes"), given.pop("page")
        wanted = _read_choices(**{name: given.pop(name) for name in _CHOICES})
        if list_codes or page is not None:
            click.echo(_codes() if page is None else printable(read_page(page)).rstrip("\n"))
            return 0
        return function(wanted=wanted, **given)

    command: Callable[..., int] = understood
    options = (
        click.option("-n", "--namespace", type=NAMESPACE, metavar="NAME",
                     help="Show what is about objects of one namespace."),
        click.option("-A", "--all-namespaces", is_flag=True,
                     help="Show what is about any namespace. This is the default."),
        click.option("--severity", type=_LEVELS, default="info", show_default=True,
                     help="Show what is at least that bad."),
        click.option("--failure-threshold", type=_LEVELS, default="error", show_default=True,
                     help="Exit with 1 for what is at least that bad, shown or not."),
        click.option("--suppress", multiple=True, metavar="CODE[=KIND/NS/NAME]",
                     help="Pass over a code, or over that of one object; `*` stands for anything. "
                     "May be repeated."),
        output_option("json", "yaml", default="text"),
        click.option("--list-codes", is_flag=True, help="List all codes, and nothing else."),
        click.option("--page", metavar="CODE",
                     help="Print the page about a code, and nothing else."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _read_choices(
    namespace: str | None,
    all_namespaces: bool,  # noqa: FBT001 - a flag of the command line
    severity: str,
    failure_threshold: str,
    suppress: tuple[str, ...],
) -> Wanted:
    if namespace and all_namespaces:
        raise click.UsageError("-n and -A cannot be used together.")
    return Wanted(
        namespace,
        Severity(severity),
        Severity(failure_threshold),
        tuple(map(_suppression, suppress)),
    )


def _suppression(text: str) -> Suppression:
    match = _SUPPRESSION.fullmatch(text)
    if match is None:
        raise click.BadParameter(
            f"{shortened(text)} is not CODE or CODE=KIND/NAMESPACE/NAME, such as "
            "OSM301=TrafficTarget/bookstore/*.",
            param_hint="'--suppress'",
        )
    return Suppression(match[1], match[2] or "*")


def _codes() -> str:
    rows = ((page.code, page.severity, page.title) for page in list_pages())
    return table(("code", "severity", "what is wrong"), rows)
