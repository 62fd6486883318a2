"""Makes text that others chose fit to be shown: no control characters, no endless lines."""


def displayable(text: str, limit: int = 200) -> str:
    """Escape what does not print (line ends, terminal escapes, bidirectional marks); cut it."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
