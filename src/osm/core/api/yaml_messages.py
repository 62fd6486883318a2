"""What libyaml's errors mean to the person who wrote the text."""

import yaml

from osm.core.api import codes

_INDENTATION = "Compare the indentation of this line with the lines above it."
_MEANINGS = (
    (
        "mapping values are not allowed",
        "a colon stands where no key can be",
        "Text that holds `: ` needs quotes; otherwise compare the indentation with the line above.",
    ),
    (
        "did not find expected key",
        "this line fits neither the block above nor its indentation",
        _INDENTATION,
    ),
    (
        "did not find expected '-' indicator",
        "the list above goes on with `- `, and this line does not",
        _INDENTATION,
    ),
    (
        "could not find expected ':'",
        "a key without a colon",
        "Put `: ` behind the key, or indent text that goes on from the line above.",
    ),
    (
        "block sequence entries are not allowed",
        "a list item (`- `) cannot stand here",
        "Begin the list on a line of its own below its key.",
    ),
    (
        "did not find expected ',' or ']'",
        "a list that began with `[` does not end",
        "Close it with `]`, and put commas between the items.",
    ),
    (
        "did not find expected ',' or '}'",
        "a mapping that began with `{` does not end",
        "Close it with `}`, and put commas between the entries.",
    ),
    ("unexpected end of stream", "a quoted text does not end", "Close the quote."),
    (
        "found unexpected document indicator",
        "a quoted text does not end before `---`",
        "Close the quote.",
    ),
    (
        "found unknown escape character",
        "an unknown escape in double quotes",
        "Use single quotes for regular expressions, or double each backslash.",
    ),
    (
        "undefined tag handle",
        "the tag is refused: objects are made of text, numbers, lists and mappings",
        "Remove it; write text that begins with `!` in quotes.",
    ),
    (
        "did not find expected alphabetic or numeric character",
        "`*` and `&` at the start of a value mean an alias or an anchor",
        "Put the text in quotes: '*'.",
    ),
    (
        "did not find expected whitespace or line break",
        "something follows directly on a tag or anchor",
        "Text that begins with `!`, `&` or `*` needs quotes.",
    ),
    (
        "cannot start any token",
        "text cannot begin with this character without quotes",
        "Put the whole text in quotes.",
    ),
    (
        "did not find expected hex",
        "a broken escape in double quotes",
        "Use single quotes, or double each backslash.",
    ),
    (
        "did not find the expected comment or line break",
        "something stands behind `|` or `>`",
        "The text begins on the next line.",
    ),
    (
        "did not find expected <document start>",
        "a second value begins without a key or `---`",
        _INDENTATION,
    ),
    (
        "did not find expected node content",
        "a value is missing",
        "Write it, or remove the comma.",
    ),
)
_UNCLOSED = ("expected ':'", "end of stream", "document indicator", "expected ',' or")


def explain_error(error: yaml.YAMLError, text: str) -> tuple[int, str, str, str]:
    """The line (from 0), code, message and hint for an error of libyaml."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return 0, codes.SYNTAX, f"not YAML: {error}", ""
    mark = error.problem_mark or error.context_mark
    line = int(mark.line) if mark else 0
    problem = error.problem or error.context or "not YAML"
    lines = text.splitlines()
    here = lines[line] if line < len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return (
            line,
            codes.TAB,
            "a tab in the indentation",
            "YAML is indented by spaces. Replace the tab by spaces.",
        )
    # An open quote or bracket is reported where the text ends; people look for where it began.
    began = error.context_mark
    if began is not None and any(part in problem for part in _UNCLOSED):
        line = int(began.line)
    for part, message, hint in _MEANINGS:
        if part in problem:
            code = codes.TAG if part == "undefined tag handle" else codes.SYNTAX
            return line, code, message, hint
    return line, codes.SYNTAX, problem, _INDENTATION
