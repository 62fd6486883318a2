"""The root of the errors that people see.

An `OsmError` says what is wrong, where, and what to do. The command line prints its text and hint
and exits with its code; only programming mistakes reach a person as a traceback. Mistakes inside of
objects that a user wrote are values (`osm.core.model.finding.Finding`), not exceptions.
"""


class OsmError(Exception):
    """What went wrong, and what to do about it. `exit_code` is what `osm` exits with."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(OsmError):
    """The command was called wrongly, or names something that does not exist."""

    exit_code = 2


class ConfigError(OsmError):
    """Objects, files or settings cannot be used as they are."""


class NotRunningError(OsmError):
    """There is no mesh to talk to."""


class IssuerError(OsmError):
    """A certificate cannot be issued, or the root cannot be read or trusted."""


class PlatformError(OsmError):
    """The machine or the cluster refuses what the mesh needs."""


class InvalidObjects(ConfigError):
    """Objects were refused. `findings` says which, where and why; nothing was changed."""

    def __init__(self, message: str, findings: tuple[object, ...]) -> None:
        super().__init__(message)
        self.findings = findings
