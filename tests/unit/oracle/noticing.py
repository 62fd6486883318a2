"""Changes of a configuration, and whether the oracle notices them."""

from collections.abc import Callable, Iterator
from random import Random

from google.protobuf.message import Message
from tests.unit.oracle.agreement import disagreement
from tests.unit.oracle.application import ask
from tests.unit.oracle.meshes import random_mesh
from tests.unit.oracle.questions import random_question
from tests.unit.oracle.sent_by import Fetcher, places_of
from tests.unit.oracle.written import Mesh

from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question
from osm.core.explain.simulation.sent import Sent
from osm.core.model.mesh import Model
from osm.testing.builders import model

MESHES = 60
"""How many meshes a change may go unnoticed: not each has what is changed."""
Change = Callable[[Message], None]


class Changed(Fetcher):
    """The configuration, with something else in it."""

    def __init__(self, of: Model, change: Change) -> None:
        super().__init__(of)
        self._change = change
        self._copies: dict[int, tuple[Message, Message]] = {}

    def __call__(self, proxy: str, type_url: str, name: str) -> Message | None:
        found = super().__call__(proxy, type_url, name)
        if found is None:
            return None
        if id(found) not in self._copies:
            copy = type(found)()
            copy.CopyFrom(found)
            self._change(copy)
            self._copies[id(found)] = found, copy
        return self._copies[id(found)][1]


Fits = Callable[[Mesh, Question], bool]


def anything(_: Mesh, __: Question) -> bool:
    return True


def disagreements(change: Change, fits: Fits = anything) -> Iterator[bool]:
    random = Random("noticed")
    for _ in range(MESHES):
        mesh = random_mesh(random)
        questions = [
            q for q in (random_question(random, mesh) for _ in range(300)) if fits(mesh, q)
        ]
        if not questions:
            continue
        meant = model(*mesh.objects)
        fetch = Changed(meant, change)
        sent = Sent(places_of(meant), fetch, fetch.unasked)
        for question in questions[:40]:
            answer = ask(mesh, meant, sent, question)
            if answer is not None:
                yield bool(disagreement(meant, explain(meant, question), answer))
