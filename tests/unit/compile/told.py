"""What the compiler tells of a mesh, in short."""

from osm.core.compile.options import CompileOptions
from osm.testing.builders import LOCAL, Part, model

Told = tuple[str, str, str]
"""Code, severity, and the object with the field."""


def told(*parts: Part, options: CompileOptions = LOCAL) -> list[Told]:
    """The findings of these objects, in order."""
    found = model(*parts, options=options).findings
    return [(each.code, each.severity.value, str(each.origin)) for each in found]


def hints(code: str, *parts: Part) -> list[str]:
    """What to do, of the findings with a code."""
    return [each.hint for each in model(*parts).findings if each.code == code]


def words(code: str, *parts: Part) -> list[str]:
    """What is wrong, of the findings with a code."""
    return [each.message for each in model(*parts).findings if each.code == code]
