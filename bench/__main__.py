"""`python -m bench [NAME…]`: measure, print, and write `RESULTS.md`."""

import argparse
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType

import msgspec

from bench import kernel
from bench.cases.all import ALL
from bench.cases.case import Case, RigCase, Size
from bench.figures import Result, text_lines
from bench.fleet import build_client
from bench.report import keep, write_page
from bench.rig import rig
from osm.runtime.logs import send_logs_to

NAMES = tuple(case.name for case in ALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are named, or all; 1 when one could not be measured."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure against the budgets.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work?")
    parser.add_argument("--write", action="store_true", help="keep the results; write RESULTS.md")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - set(NAMES)):
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if asked.quick and asked.write:
        parser.error("figures of small sizes are not worth keeping")
    signal.signal(signal.SIGTERM, _stop)
    send_logs_to(lambda _text, _is_error: None)
    build_client()
    failed = False
    wanted = [case for case in ALL if not asked.names or case.name in asked.names]
    for name, run in runs(wanted, Size(asked.quick)):
        started, load = time.monotonic(), os.getloadavg()[0]
        try:
            result = run()
        except Exception as error:  # noqa: BLE001 - the other cases are worth measuring
            print(f"{name}: could not be measured: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        result = msgspec.structs.replace(
            result,
            machine=kernel.machine(),
            load=load,
            took_s=round(time.monotonic() - started, 1),
        )
        print("\n".join(text_lines(result)), flush=True)
        if asked.write:
            keep(result)
    if asked.write:
        write_page(NAMES)
    return int(failed)


def runs(cases: Sequence[Case | RigCase], size: Size) -> Iterator[tuple[str, Callable[[], Result]]]:
    """What to run, one after the other. Neighbours that need the same rig get the same one."""
    for setting, group in itertools.groupby(
        cases, lambda case: case.setting(size) if isinstance(case, RigCase) else None
    ):
        members = list(group)
        if setting is None:
            for case in members:
                assert isinstance(case, Case)
                yield case.name, partial(case.run, size)
            continue
        with rig(setting) as made:
            for case in members:
                assert isinstance(case, RigCase)
                yield case.name, partial(case.run, made, size)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does: everything that was started is ended."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
