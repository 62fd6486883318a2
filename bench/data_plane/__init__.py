"""What a request costs our proxies, against a pair that a person would write by hand."""

from bench.data_plane.measurement import FULL, QUICK, measure
from bench.data_plane.result import result, to_markdown
from bench.figures import Result


def run(*, quick: bool) -> Result:
    """Measure; a case of the bench. Takes six minutes, or one."""
    return result(measure(QUICK if quick else FULL))


def report(quick: bool) -> str:  # noqa: FBT001 - agreed so
    """Measure, and say it in Markdown."""
    return to_markdown(run(quick=quick))
