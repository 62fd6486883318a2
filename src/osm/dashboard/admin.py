"""What may be asked of a proxy's admin interface from outside: some of what only reads."""

import re

from osm.errors import UsageError

PATHS = frozenset(
    {
        "certs",
        "clusters",
        "config_dump",
        "hot_restart_version",
        "init_dump",
        "listeners",
        "memory",
        "ready",
        "runtime",
        "server_info",
        "stats",
        "stats/prometheus",
    }
)
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
# Escapes too, but none of control characters: nobody needs them, and someone may unescape them.
_QUERY = re.compile(r"([A-Za-z0-9_.~+*^$|()\[\]:/,=&-]|%[2-6][0-9A-Fa-f]|%7[0-9A-Ea-e]){0,512}")
_JSON = frozenset({"certs", "config_dump", "init_dump", "memory", "runtime", "server_info"})


def admin_path(path: str, query: str) -> str:
    """The path and query to send on, or `UsageError` when it is not one of the paths that read."""
    if path not in PATHS:
        raise UsageError(
            f"The proxy's admin path {path[:80]!r} is not served.",
            hint=f"One of: {', '.join(sorted(PATHS))}.",
        )
    if not _QUERY.fullmatch(query):
        raise UsageError("The query of the proxy's admin path has characters that are not allowed.")
    return f"{path}?{query}" if query else path


def proxy_name(namespace: str, name: str) -> str:
    """`<namespace>/<name>` of a proxy, or `UsageError` when these cannot be names."""
    if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
        raise UsageError("A proxy is named <namespace>/<workload>.", hint="See `osm proxy list`.")
    return f"{namespace}/{name}"


def media_type(path: str, query: str) -> str:
    """What the answer is: JSON where Envoy sends JSON, and else plain text."""
    is_json = path in _JSON or "format=json" in query.split("&")
    return "application/json" if is_json else "text/plain; charset=utf-8"
