"""One image with all that OSM's chart runs, and with the redirection of its init container."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from images.archive import Entry, File, Image, write_archive
from images.catalogue import labels, system
from images.programs import libraries, program

from .programs import NAMES, VERSION, former_program, former_sources

REGISTRY, NAME, TAG = "osm.test", "former", f"v{VERSION}"
FORMER = f"{REGISTRY}/{NAME}:{TAG}"
_OUT = Path(__file__).parents[3] / "build" / "images"
_EXTENSIONS = ("libxt_owner.so", "libxt_standard.so", "libxt_tcp.so", "libxt_multiport.so")
_TARGETS = ("libxt_REDIRECT.so", "libxt_NAT.so", "libxt_DNAT.so")


def build_former() -> Path:
    """The archive of the image."""
    archive = _OUT / "test-former.tar"
    write_archive([_former()], archive, _OUT / "layers")
    return archive


def _former() -> Image:
    definitions = former_sources() / "cmd" / "osm-bootstrap" / "crds"
    programs = {name: File(former_program(name)) for name in NAMES}
    crds = {f"osm-crds/{each.name}": File(each) for each in definitions.glob("*.yaml")}
    return Image(
        names=(FORMER,),
        layers=(system(), {**programs, **crds}, _tools()),
        user=0,
        environment={"PATH": "/usr/sbin:/usr/bin"},
        labels=labels("test-former", f"Open Service Mesh v{VERSION}"),
    )


def _tools() -> Mapping[str, Entry]:
    """`sh` and `iptables-restore` for OSM's init container, `curl` for those of its control plane."""
    restore = program("iptables-restore", "usr/sbin/iptables-restore")
    return {**program("sh"), **program("curl"), **restore, **_extensions()}


def _extensions() -> Mapping[str, Entry]:
    """What `iptables-restore` loads by itself; its directory is one beside its own library."""
    found = shutil.which("iptables-restore", path="/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError("iptables is not installed here: `python -m tests.kubernetes packages`")
    beside = next(
        Path(entry.source).parent
        for place, entry in libraries([Path(found).resolve()]).items()
        if isinstance(entry, File) and Path(place).name.startswith("libxtables.so")
    )
    files = [beside / "xtables" / name for name in (*_EXTENSIONS, *_TARGETS)]
    return {str(each).removeprefix("/"): File(each.resolve()) for each in files}
