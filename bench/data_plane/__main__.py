"""`python -m bench.data_plane [--quick] [--rounds N]`."""

import argparse

import msgspec

from bench.data_plane.measurement import FULL, QUICK, measure
from bench.data_plane.result import result
from bench.figures import text_lines


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="bench.data_plane", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few requests: does it work?")
    parser.add_argument("--rounds", type=int, metavar="N", help="interleaved rounds")
    asked = parser.parse_args()
    size = QUICK if asked.quick else FULL
    if asked.rounds:
        size = msgspec.structs.replace(size, rounds=max(2, asked.rounds))
    print("\n".join(text_lines(result(measure(size)))))


if __name__ == "__main__":
    main()
