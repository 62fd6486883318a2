"""In which order namespaces are taken over: those that call before those that are called.

While servers start anew, old callers lose a few requests, as they do with OSM; new callers lose by HTTP only
what a server with OSM's proxy is answering when it ends.
"""

from collections.abc import Iterable, Sequence

from osm.core.migrate.documents import Document, items, namespace, of_kind, text
from osm.core.model.groups import ACCESS


def callers_first(spaces: Iterable[str], documents: Sequence[Document]) -> tuple[str, ...]:
    """By TrafficTargets. Where namespaces call each other, the one with the fewest callers is first."""
    left = sorted(spaces)
    calls = set(_calls(documents))
    ordered: list[str] = []
    while left:
        callers = {to: sum((other, to) in calls for other in left if other != to) for to in left}
        first = min(left, key=lambda space: callers[space])
        left.remove(first)
        ordered.append(first)
    return tuple(ordered)


def _calls(documents: Sequence[Document]) -> Iterable[tuple[str, str]]:
    """Who may call whom: pairs of namespaces."""
    for target in of_kind(documents, "TrafficTarget", ACCESS):
        to = text(target, "spec", "destination", "namespace") or namespace(target)
        for source in items(target, "spec", "sources"):
            yield text(source, "namespace") or namespace(target), to
