"""`python -m images [NAME…]`: writes the images that we ship into `build/images/`."""

import argparse
import sys
import time
from pathlib import Path

from .archive import write_archive
from .catalogue import SHIPPED

OUT = Path(__file__).parent.parent / "build" / "images"


def main() -> None:
    """Build the images that are named, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m images", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"one of {', '.join(SHIPPED)}; without any, all")
    wanted = parser.parse_args().name or [*SHIPPED]
    if unknown := sorted(set(wanted) - set(SHIPPED)):
        parser.error(f"no image has the name {', '.join(unknown)}; there are {', '.join(SHIPPED)}")
    OUT.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        started, image, out = time.monotonic(), SHIPPED[name](), OUT / f"{name}.tar"
        write_archive([image], out, OUT / "layers")
        size, took = out.stat().st_size / 2**20, time.monotonic() - started
        sys.stdout.write(f"{image.names[0]}  {size:.0f} MiB  {out}  ({took:.1f} s)\n")


if __name__ == "__main__":
    main()
