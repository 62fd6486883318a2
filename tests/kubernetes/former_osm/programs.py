"""The control plane of Open Service Mesh v1.2.4, built from its Go module as it was released.

`module/` names the module's version and, in `go.sum`, the hashes of it and of all that it needs; nothing
of it is in this repository. Its file `stats.wasm`, which its build would make, is a stand-in in the
released module: `featureFlags.enableWASMStats` must be off.
"""

import json
import os
import subprocess
from pathlib import Path

from tests.go_programs import GO, LIMIT_S, go_program

VERSION = "1.2.4"
NAMES = ("osm-bootstrap", "osm-controller", "osm-injector")
_MODULE = Path(__file__).parent / "module"
_PATH = "github.com/openservicemesh/osm"


def former_program(name: str) -> Path:
    """One of `NAMES`. Built the first time: the three take four minutes of two cores."""
    return go_program(_MODULE, f"{_PATH}/cmd/{name}", flags=("-ldflags", "-s -w"))


def former_sources() -> Path:
    """The released module: its chart, and the CustomResourceDefinitions that its bootstrap applies.

    Go fetches it the first time, and holds it to its hash.
    """
    done = subprocess.run(
        [GO, "mod", "download", "-json", f"{_PATH}@v{VERSION}"],
        cwd=_MODULE,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"OSM v{VERSION} cannot be fetched: {done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])
