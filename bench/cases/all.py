"""Every case, in the order in which they run."""

from bench.cases import changes, commands, growth, real, slow_readers, starts, storms
from bench.cases.case import Case, RigCase, Size
from bench.figures import Result


def in_process(size: Size) -> Result:
    """The steps alone. The others need nothing of the control plane's inside."""
    from bench.in_process import in_process as measured  # noqa: PLC0415 - as it says

    return measured(size)


def data_plane(size: Size) -> Result:
    """What a request costs; it needs nothing of the control plane's rig."""
    from bench.data_plane import run  # noqa: PLC0415 - loads much

    return run(quick=size.quick)


def admission(size: Size) -> Result:
    """Calls of API servers while others send nonsense."""
    from bench.cases.admission import admission as measured  # noqa: PLC0415 - loads much

    return measured(size)


def kubernetes(size: Size) -> Result:
    """The same with a real API server, whose programs are built the first time."""
    from bench.cases.kubernetes import kubernetes as measured  # noqa: PLC0415 - loads much

    return measured(size)


ALL: tuple[Case | RigCase, ...] = (
    Case("in-process", in_process),
    *changes.CASES,
    *storms.CASES,
    *real.CASES,
    *changes.LAST,
    *starts.CASES,
    Case("kubernetes", kubernetes),
    Case("admission", admission),
    *storms.ALONE,
    *slow_readers.CASES,
    *real.ALONE,
    *commands.CASES,
    *growth.CASES,
    Case("data-plane", data_plane),
)
