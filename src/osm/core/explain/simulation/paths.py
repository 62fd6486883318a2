"""Which path Envoy gives to its rules: normalised as URLs are, with merged slashes.

Written after Envoy's `normalize_path`, `merge_slashes` and `path_with_escaped_slashes_action`. The
canonical form is that of Chromium's URL library, which Envoy uses, read as there: one character after
the other into what is written already.
"""

_WRITTEN_AS_ESCAPE = frozenset('"<>^`{|}')
_NEEDS_NO_ESCAPE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


def is_no_path(target: str) -> bool:
    """Envoy answers 400: what no request line can have, a fragment, or a zero byte in the path.

    Parameters of dot segments (`/..;x/`) are gone before it looks for zero bytes, and escaped slashes
    are slashes by then.
    """
    if target[:1] != "/":
        return True
    if any(not "!" <= character <= "~" or character == "#" for character in target):
        return True
    path = target.partition("?")[0]
    if "%00" not in path:
        return False
    plain = path
    for escape, character in (("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\")):
        plain = plain.replace(escape, character)
    return "%00" in _without_parameters(plain)


def _without_parameters(path: str) -> str:
    """Some servers take `..;x` for `..` with parameters, and so does Envoy."""
    kept: list[str] = []
    for segment in path.split("/"):
        dots, semicolon, _ = segment.partition(";")
        kept.append(dots if semicolon and dots in (".", "..") else segment)
    return "/".join(kept)


def has_hidden_slash(path: str) -> bool:
    """A slash or backslash is written as an escape: the caller is sent to the plain path."""
    escapes = {path[at : at + 3].lower() for at in range(len(path)) if path[at] == "%"}
    return not escapes.isdisjoint({"%2f", "%5c"})


def normalised(path: str) -> str:
    """The canonical path; slashes are merged after dots have been resolved."""
    whole = _canonical(_without_parameters(path))
    if "//" not in whole:
        return whole
    words = [word for word in whole.split("/") if word]
    return "/" + "/".join(words) + ("/" if whole.endswith("/") else "")


def _canonical(path: str) -> str:
    out: list[str] = []
    lone_percent = -1
    at = 0
    while at < len(path):
        dot = _dot(path, at)
        if dot:
            at = _take_dots(path, at, dot, out)
            continue
        character = path[at]
        if character != "%":
            escape = f"%{ord(character):02X}" if character in _WRITTEN_AS_ESCAPE else character
            out += "/" if character == "\\" else escape
            at += 1
            continue
        byte = _escaped_byte(path, at)
        if byte < 0:
            lone_percent = len(out)
            out.append("%")
            at += 1
            continue
        out += chr(byte) if byte in _NEEDS_NO_ESCAPE else path[at : at + 3]
        at += 3
        # A percent sign that escaped nothing must not begin to do so.
        if lone_percent >= 0 and byte in _NEEDS_NO_ESCAPE:
            begun = "".join(out[lone_percent:]) + path[at : at + 1]
            if _escaped_byte(begun, 0) >= 0:
                out[lone_percent] = "%25"
                lone_percent = -1
    return "".join(out)


def _take_dots(path: str, at: int, width: int, out: list[str]) -> int:
    """Write one dot, or do what `./` and `../` mean at the beginning of a segment. Where to go on."""
    after = at + width
    if out[-1:] != ["/"]:
        out.append(".")
        return after
    second = _dot(path, after)
    if second:
        end = _end_of_directory(path, after + second)
        if end >= 0:
            _back_up(out)
            return end
    end = _end_of_directory(path, after)
    if end >= 0:
        return end
    out.append(".")
    return after


def _end_of_directory(path: str, at: int) -> int:
    """Behind the slash that ends a segment here; -1 when the segment goes on."""
    if at == len(path):
        return at
    return at + 1 if path[at] in "/\\" else -1


def _back_up(out: list[str]) -> None:
    """Take the last segment away, but never the first slash."""
    out.pop()
    while out and out[-1] != "/":
        out.pop()
    if not out:
        out.append("/")


def _dot(path: str, at: int) -> int:
    """How long the dot is that stands here, plain or escaped; 0 without one."""
    if path[at : at + 1] == ".":
        return 1
    return 3 if path[at : at + 3].lower() == "%2e" else 0


def _escaped_byte(text: str, at: int) -> int:
    digits = text[at + 1 : at + 3]
    is_escape = len(digits) == 2 and _HEXADECIMAL.issuperset(digits)
    return int(digits, 16) if is_escape else -1
