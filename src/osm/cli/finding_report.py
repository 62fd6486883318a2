"""Findings as `osm validate` and `osm analyze` print them: in order, those that are wanted, and how
many there are of which severity.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase

import click
import msgspec

from osm.cli.encode import encoded
from osm.cli.finding_pages import page_name
from osm.cli.render import one_line, paint, printable
from osm.core.model.origin import Finding, Severity

SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.INFO)
"""The worst first."""
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


class Suppression(msgspec.Struct, frozen=True):
    """Findings that are known and accepted. `objects` is `KIND/NAMESPACE/NAME`, as a shell's pattern."""

    code: str
    objects: str = "*"

    def covers(self, finding: Finding) -> bool:
        """Tell whether it is about a finding."""
        return finding.code == self.code and fnmatchcase(_path(finding), self.objects)


class Wanted(msgspec.Struct, frozen=True):
    """Which findings to show, and which ones make the exit code 1."""

    namespace: str | None = None
    severity: Severity = Severity.INFO
    threshold: Severity = Severity.ERROR
    suppressions: tuple[Suppression, ...] = ()


class ShownFinding(msgspec.Struct, frozen=True):
    """A finding for programs."""

    code: str
    severity: Severity
    group: str
    kind: str
    namespace: str
    name: str
    field: str
    file: str
    line: int | None
    message: str
    hint: str
    page: str


class Report(msgspec.Struct, frozen=True):
    """What was found. `looked_at` says in what, in words."""

    findings: tuple[Finding, ...]
    looked_at: str
    suppressed: int
    failed: bool

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 0


def make_report(found: Iterable[Finding], wanted: Wanted, looked_at: str) -> Report:
    """Choose and sort findings. The threshold also counts what is too mild to be shown."""
    mine = {each for each in found if _is_in(each, wanted.namespace)}
    kept = {each for each in mine if not any(one.covers(each) for one in wanted.suppressions)}
    return Report(
        tuple(sorted((f for f in kept if _reaches(f, wanted.severity)), key=_order)),
        looked_at,
        len(mine) - len(kept),
        any(_reaches(finding, wanted.threshold) for finding in kept),
    )


def print_report(report: Report, output: str) -> None:
    """Print findings to stdout; as text, and a summary of them to stderr."""
    if output != "text":
        click.echo(encoded(_answer(report), output))
        return
    for finding in report.findings:
        click.echo(finding_text(finding))
    click.echo(_summary(report), err=True)


def finding_text(finding: Finding) -> str:
    """Write a finding as compilers do, so that editors find the line, and below it what to do."""
    severity = Severity(finding.severity)
    start = f"{finding.where}: " if finding.where else ""
    about = f"{finding.origin}: " if finding.origin else ""
    line = (
        one_line(start)
        + paint(f"{severity.value}:", _COLOURS[severity], sys.stdout, bold=True)
        + one_line(f" {about}{finding.message} [{finding.code}]")
    )
    hint = printable(finding.hint).replace("\n", "\n  ")
    return f"{line}\n  {hint}" if hint else line


def _is_in(finding: Finding, namespace: str | None) -> bool:
    """What is in no namespace, such as a file that cannot be read, may concern any of them."""
    origin = finding.origin
    if namespace is None or origin is None:
        return True
    if origin.kind == "Namespace":
        return origin.name == namespace
    return origin.namespace in ("", namespace)


def _reaches(finding: Finding, severity: Severity) -> bool:
    return SEVERITIES.index(finding.severity) <= SEVERITIES.index(severity)


def _path(finding: Finding) -> str:
    origin = finding.origin
    if origin is None:
        return ""
    return "/".join(part for part in (origin.kind, origin.namespace, origin.name) if part)


def _order(finding: Finding) -> tuple[int, str, int, str, str]:
    file, line = split_place(finding.where)
    return SEVERITIES.index(finding.severity), file, line or 0, finding.code, str(finding)


def split_place(where: str) -> tuple[str, int | None]:
    """Split `FILE:LINE`; a place without a line has None."""
    file, colon, line = where.rpartition(":")
    return (file, int(line)) if colon and line.isdecimal() else (where, None)


def _answer(report: Report) -> dict[str, object]:
    return {
        "findings": [_shown(finding) for finding in report.findings],
        "summary": {
            **{f"{severity.value}s": _count(report, severity) for severity in SEVERITIES},
            "suppressed": report.suppressed,
            "lookedAt": report.looked_at,
            "failed": report.failed,
        },
    }


def _shown(finding: Finding) -> ShownFinding:
    file, line = split_place(finding.where)
    origin = finding.origin
    return ShownFinding(
        code=finding.code,
        severity=finding.severity,
        group=origin.group if origin else "",
        kind=origin.kind if origin else "",
        namespace=origin.namespace if origin else "",
        name=origin.name if origin else "",
        field=origin.field if origin else "",
        file=file,
        line=line,
        message=finding.message,
        hint=finding.hint,
        page=page_name(finding.code),
    )


def _count(report: Report, severity: Severity) -> int:
    return Counter(finding.severity for finding in report.findings)[severity]


def _summary(report: Report) -> str:
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    counts = [
        counted(number, words[severity])
        for severity in SEVERITIES
        if (number := _count(report, severity))
    ]
    suppressed = f" ({report.suppressed} suppressed)" if report.suppressed else ""
    found = f"{', '.join(counts) or 'No findings'}{suppressed} in {one_line(report.looked_at)}."
    colour = "green" if not counts else _COLOURS[report.findings[0].severity]
    line = paint(found, colour, sys.stderr)
    if not counts:
        return line
    code = report.findings[0].code
    return (
        f"{line}\nWhat a code means: docs/findings/, or for instance `osm analyze --page {code}`."
    )


def counted(number: int, word: str, *, plural: str = "") -> str:
    """Write `1 error` or `2 errors`."""
    return f"{number} {word if number == 1 else plural or word + 's'}"
