"""Where the documents of a YAML text begin and end.

A `---` or `...` in the first column always separates, whatever stands before it (YAML 1.1 §9.1.2),
so a broken document hides no other.
"""

import msgspec

_MARKERS = frozenset(("---", "..."))


class Document(msgspec.Struct, frozen=True, gc=False):
    """A piece of text between separators: `text[start:end]`, whose first line is number `line`.

    `separator` is where the `---` line before it starts; equal to `start` when there is none.
    """

    start: int
    end: int
    line: int
    separator: int


def split_documents(text: str) -> tuple[Document, ...]:
    """Every piece that holds something other than comments, blank lines and directives."""
    documents = []
    start = separator = position = 1 if text.startswith("\ufeff") else 0
    first_line = line = 1
    significant = False
    for content in text[position:].splitlines(keepends=True):
        marker = content[:3]
        if marker in _MARKERS and (len(content) == 3 or content[3].isspace()):
            if significant:
                documents.append(Document(start, position, first_line, separator))
            inline = content[3:].strip()
            # `--- {a: b}`: the document begins on the separator's own line.
            significant = marker == "---" and bool(inline) and not inline.startswith("#")
            separator = position if marker == "---" else position + len(content)
            start = position + (3 if significant else len(content))
            first_line = line if significant else line + 1
        elif not significant and not content.isspace():
            significant = not content.startswith("%") and not content.lstrip(" \t").startswith("#")
        position += len(content)
        line += 1
    if significant:
        documents.append(Document(start, position, first_line, separator))
    return tuple(documents)
