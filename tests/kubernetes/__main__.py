"""Builds the programs of a test cluster, so that no test has to wait for it: `python -m tests.kubernetes`."""

import sys
import tempfile
import time
from pathlib import Path

from .programs import VERSION, link_programs


def main() -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        link_programs(Path(directory))
    sys.stdout.write(f"Kubernetes {VERSION} is there ({time.monotonic() - started:.0f} s)\n")


if __name__ == "__main__":
    main()
