"""Images of the test cluster: ours, as `make images` builds them, and what only tests need."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from images.archive import File, Image, write_archive
from images.catalogue import SHIPPED, demo, labels
from images.programs import program
from images.python import PACKAGES
from tests.go_programs import go_program

from .node_files import PAUSE

APPS = "osm.test/apps:1"
"""What the demo's image has, and `curl`, `nft`, `bash` and `steady_load`."""
_OUT = Path(__file__).parent.parent.parent / "build" / "images"


def build_pause() -> Path:
    """The archive of the image that holds the sandbox of every pod: without it, none starts."""
    return _build("test-pause", [_pause()])


def build_all() -> Path:
    """The archive of all others: those that we ship, and `APPS`. What has not changed is made of
    kept layers.
    """
    return _build("test-node", [*(build() for build in SHIPPED.values()), _apps()])


def _build(name: str, images: Sequence[Image]) -> Path:
    archive = _OUT / f"{name}.tar"
    write_archive(images, archive, _OUT / "layers")
    return archive


def _pause() -> Image:
    built = go_program(Path(__file__).parent / "pause", flags=("-ldflags", "-s -w"))
    return Image(
        names=(PAUSE,), layers=({"pause": File(built)},), user=65534, entrypoint=("/pause",)
    )


def _apps() -> Image:
    programs = {**program("curl"), **program("bash"), **program("sleep"), **program("nft")}
    load = {f"{PACKAGES}/steady_load.py": File(Path(__file__).parent / "steady_load.py")}
    base = demo()
    return msgspec.structs.replace(
        base,
        names=(APPS,),
        layers=(*base.layers, {**programs, **load}),
        labels=labels("test-apps", "Applications and clients of the tests"),
    )
