"""A request, and whether a match fits it: the same decision that Envoy takes, made without it."""

import msgspec
import re2

from osm.core.model.route import HttpMatch, PathMatch, ValueMatch

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX = frozenset("0123456789abcdefABCDEF")
_ESCAPED = {ord(c): f"%{ord(c):02X}" for c in '"<>^`{|}'}
# `/..;x/` counts as `/../`: some servers take what follows the semicolon for parameters.
_SLASH = re2.compile("(?i)%2f")
_DOTS_WITH_PARAMETERS = re2.compile(r"/(\.\.?);[^/]*")


INTERNAL_HEADERS = ("x-osm-", "x-envoy-original-", "x-envoy-peer-", "x-envoy-external-")
"""How headers begin by which the mesh's proxies talk. The called side takes them away first of all."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """An HTTP request. `path` is normalised and without its query; names of headers are lower-case."""

    method: str
    path: str
    authority: str
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """The value of a header, several of them joined by commas, as Envoy joins them."""
        match name:
            case ":authority" | "host":
                return self.authority
            case ":method":
                return self.method
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else None


def as_received(request: Request) -> Request:
    """The request without the headers that no access rule gets to see."""
    headers = tuple(pair for pair in request.headers if not pair[0].startswith(INTERNAL_HEADERS))
    return msgspec.structs.replace(request, headers=headers)


def split_target(target: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The path and the query parameters of a request target."""
    path, _, query = target.partition("?")
    pairs = (part.partition("=") for part in query.split("&") if part)
    return path, tuple((name, value) for name, _, value in pairs)


def has_escaped_slash(path: str) -> bool:
    """Such a request is answered with a redirect to the plain path, before any rule looks at it."""
    lowered = path.lower()
    return "%2f" in lowered or "%5c" in lowered


def is_refused_target(target: str) -> bool:
    """Such a request is answered with 400, before any rule looks at it. The query counts as well."""
    is_plain = all("!" <= c <= "~" and c != "#" for c in target)
    if not is_plain or not target.startswith("/"):
        return True
    path = target.partition("?")[0]
    # What `/..;` takes away with it is not looked at (measured with Envoy 1.40).
    return "%00" in path and "%00" in _DOTS_WITH_PARAMETERS.sub(r"/\1", _SLASH.sub("/", path))


def normalise_path(path: str) -> str:
    """The path as Envoy's `normalize_path` and `merge_slashes` leave it (RFC 3986 §6.2.2).

    Compared with Envoy itself, path by path, by `tests/unit/envoy/test_requests.py`.
    """
    plain = _DOTS_WITH_PARAMETERS.sub(r"/\1", path)
    plain = _decode_unreserved(plain).translate(_ESCAPED).replace("\\", "/")
    out: list[str] = []
    segments = plain.split("/")[1:]
    for position, segment in enumerate(segments):
        if segment not in (".", ".."):
            out.append(segment)
            continue
        if segment == ".." and out:
            out.pop()
        if position == len(segments) - 1:
            out.append("")
    resolved = "/" + "/".join(out)
    # Slashes are merged after the dots are resolved: `/a//../b` is `/a/b`.
    if "//" not in resolved:
        return resolved
    end = "/" if resolved.endswith("/") else ""
    return "/" + "/".join(segment for segment in out if segment) + end


def _decode_unreserved(path: str) -> str:
    head, *parts = path.split("%")
    out = [head]
    broken = -1
    for part in parts:
        if not _is_escape(part[:2]):
            broken = len(out)
            out.append("%" + part)
            continue
        byte = int(part[:2], 16)
        if byte not in _UNRESERVED:
            out.append("%" + part)
            continue
        out.append(chr(byte) + part[2:])
        # What was no escape must not become one: `%2%41` is not `%2A`.
        if broken >= 0 and _is_escape("".join(out[broken:])[1:3]):
            out[broken] = "%25" + out[broken][1:]
            broken = -1
    return "".join(out)


def _is_escape(digits: str) -> bool:
    return len(digits) == 2 and digits[0] in _HEX and digits[1] in _HEX


def route_fits(match: HttpMatch, request: Request) -> bool:
    """Whether the match of a route fits the request.

    Envoy's routes look at each line of a header that was sent several times; its access rules, as
    `fits`, at all of them joined by commas (measured with Envoy 1.40).
    """
    names = {header.name for header in match.headers}
    lines = [(name, value) for name, value in request.headers if name in names]
    if len(lines) == len(dict(lines)):
        return fits(match, request)
    rest = msgspec.structs.replace(match, headers=())

    def line_fits(header: ValueMatch) -> bool:
        sent = [value for name, value in lines if name == header.name]
        return any(_value_fits(header, v) for v in sent or (request.header(header.name),))

    return fits(rest, request) and all(line_fits(header) for header in match.headers)


def fits(match: HttpMatch, request: Request) -> bool:
    """Whether every part of the match fits the request."""
    if match.methods and request.method not in match.methods:
        return False
    if match.path is not None and not path_fits(match.path, request.path):
        return False
    return all(
        _value_fits(header, request.header(header.name)) for header in match.headers
    ) and all(_value_fits(p, dict(reversed(request.query)).get(p.name)) for p in match.query)


def path_fits(match: PathMatch, path: str) -> bool:
    """Whether a path fits: exactly, by whole elements, or as a whole by a regex."""
    match match.kind:
        case "exact":
            return path == match.value
        case "prefix":
            prefix = match.value.rstrip("/")
            return path == prefix or path.startswith(prefix + "/")
        case _:
            return bool(re2.fullmatch(match.value, path))


def _value_fits(match: ValueMatch, value: str | None) -> bool:
    if value is None:
        return False
    return (
        value == match.value if match.kind == "exact" else bool(re2.fullmatch(match.value, value))
    )
