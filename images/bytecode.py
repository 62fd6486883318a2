"""Python compiled ahead: containers cannot write it, and would compile everything at every start."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_COMPILE = """
import json, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for source, target, shown in json.load(sys.stdin):
    py_compile.compile(source, target, dfile=shown, doraise=True, invalidation_mode=mode)
"""


def compiled(sources: Mapping[str, Path]) -> Mapping[str, bytes]:
    """The compiled form of sources, by its path in the image, for sources by theirs.

    A process of its own, in one order and with one seed: bytecode holds traces of all three.
    """
    if not sources:
        return {}
    tag = sys.implementation.cache_tag
    with tempfile.TemporaryDirectory() as directory:
        targets = {path: Path(directory) / str(n) for n, path in enumerate(sorted(sources))}
        orders = [(str(sources[path]), str(to), f"/{path}") for path, to in targets.items()]
        _run(orders)
        return {
            str(Path(path).parent / "__pycache__" / f"{Path(path).stem}.{tag}.pyc"): to.read_bytes()
            for path, to in targets.items()
        }


def _run(orders: list[tuple[str, str, str]]) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", _COMPILE],
        input=json.dumps(orders).encode(),
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"cannot compile for an image: {done.stderr.decode()[-2000:]}")
