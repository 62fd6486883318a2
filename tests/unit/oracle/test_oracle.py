"""`explain`, which reads the model, and the simulation, which reads what proxies are sent, agree."""

from collections import Counter
from random import Random

import pytest
from tests.unit.oracle.agreement import disagreement
from tests.unit.oracle.application import ask
from tests.unit.oracle.meshes import random_mesh
from tests.unit.oracle.questions import random_question
from tests.unit.oracle.sent_by import sent_by

from osm.core.explain.decide import explain
from osm.testing.builders import model

PARTS, MESHES, QUESTIONS = 16, 25, 50
"""20,000 questions, in parts that run beside each other."""


@pytest.mark.parametrize("part", range(PARTS))
def test_explanations_agree_with_the_simulated_configuration(part: int) -> None:
    random = Random(f"oracle {part}")
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for _ in range(MESHES):
        mesh = random_mesh(random)
        meant = model(*mesh.objects)
        sent = sent_by(meant)
        left = QUESTIONS
        while left:
            question = random_question(random, mesh)
            answer = ask(mesh, meant, sent, question)
            if answer is None:
                continue
            left -= 1
            explanation = explain(meant, question)
            seen[explanation.verdict] += 1
            problem = disagreement(meant, explanation, answer)
            if problem:
                wrong.append(f"{question}\n  {explanation.summary}\n  {problem}")
    assert not wrong, f"{len(wrong)} disagree:\n" + "\n".join(wrong[:5])
    # Questions that all end alike prove little.
    assert seen["allowed"] > 40 and seen["denied"] > 40, seen
    assert all(seen[verdict] for verdict in ("no route", "no endpoints", "redirected", "refused"))
    assert seen["partly denied"] + seen["no backend"] > 10, seen
