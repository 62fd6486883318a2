"""Builds all servers, so that no test has to wait for it: `python -m tests.servers`."""

import sys
import time

from .programs import PROGRAMS

for name, build in PROGRAMS.items():
    started = time.monotonic()
    build()
    sys.stdout.write(f"{name}: there ({time.monotonic() - started:.0f} s)\n")
