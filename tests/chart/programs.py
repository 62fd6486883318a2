"""Helm, built from its pinned module."""

from pathlib import Path

from tests.go_programs import go_program


def helm_program() -> Path:
    """The program `helm`. Built the first time, which takes two minutes."""
    module = Path(__file__).parent / "helm"
    return go_program(module, "helm.sh/helm/v3/cmd/helm", flags=("-ldflags", "-s -w"))
