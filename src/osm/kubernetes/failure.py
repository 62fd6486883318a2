"""What an API server's refusals and silences mean to the person who typed a command."""

from osm.errors import OsmError, PlatformError
from osm.kubernetes.api_server import Status, Unreachable


def explain(error: Status | Unreachable, doing: str = "") -> OsmError:
    """Words for an error; `doing` says what was tried, such as `Service osm-system/osm-injector`."""
    place = f"{doing}: " if doing else ""
    if isinstance(error, Unreachable):
        return PlatformError(
            f"{place}The cluster does not answer: {error}",
            hint="Is it running? `kubectl cluster-info` asks the same server.",
        )
    match error.code:
        case 401:
            return PlatformError(
                f"{place}The cluster does not accept your login.",
                hint="`kubectl auth whoami` tells who you are there.",
            )
        case 403:
            return PlatformError(
                f"{place}You may not do this: {error.message}",
                hint="`osm check --pre` lists which rights are missing.",
            )
        case 404:
            return PlatformError(f"{place}The cluster does not have it: {error.message}")
        case 429 | 500 | 502 | 503 | 504:
            return PlatformError(
                f"{place}The cluster cannot answer now: {error.message or error.reason}",
                hint="Try again; what was done stays, and doing it twice does no harm.",
            )
        case _:
            return PlatformError(f"{place}The cluster refuses it: {error.message or error.reason}")
