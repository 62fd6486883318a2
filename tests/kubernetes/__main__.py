"""Clusters for tests: `python -m tests.kubernetes [build|former|packages|up]`.

`build` makes the programs, so that no test has to wait for them; `former` makes those of OSM v1.2.4, which
one test takes over from; `packages` installs Debian's packages that a node needs; `up` runs a cluster
of one node with all images, until it is interrupted.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

from .former_osm.programs import NAMES, former_program, former_sources
from .former_osm.programs import VERSION as FORMER_VERSION
from .node import install_packages, running_node
from .programs import VERSION, link_programs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.kubernetes", description=__doc__)
    parser.add_argument(
        "what", nargs="?", default="build", choices=["build", "former", "packages", "up"]
    )
    match parser.parse_args().what:
        case "build":
            _build()
        case "former":
            _build_former()
        case "packages":
            install_packages()
        case "up":
            asyncio.run(_up())


def _build() -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        link_programs(Path(directory))
    sys.stdout.write(f"Kubernetes {VERSION} is there ({time.monotonic() - started:.0f} s)\n")


def _build_former() -> None:
    started = time.monotonic()
    former_sources()
    for name in NAMES:
        former_program(name)
    took = time.monotonic() - started
    sys.stdout.write(f"Open Service Mesh {FORMER_VERSION} is there ({took:.0f} s)\n")


async def _up() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    with tempfile.TemporaryDirectory(prefix="osm-node-") as directory:
        async with running_node(Path(directory)) as node:
            network = f"nsenter --net={node.directory / 'network'}"
            sys.stdout.write(
                f"export KUBECONFIG={node.kubeconfig} PATH={node.programs}:$PATH\n"
                f"# pods and Services by address: {network} curl …\n"
                f"# logs: {node.directory}/*.log; Ctrl-C ends the cluster\n"
            )
            sys.stdout.flush()
            await ended.wait()


if __name__ == "__main__":
    main()
