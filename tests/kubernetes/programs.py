"""The programs of a test cluster: one binary with all of them, which goes by their names."""

from pathlib import Path

from tests.go_programs import go_program

VERSION = "1.35.4"
_MODULE = Path(__file__).parent / "hyper"
_PACKAGE = "k8s.io/component-base/version"
_STAMPS = {
    "gitVersion": f"v{VERSION}",
    "gitMajor": VERSION.split(".", maxsplit=1)[0],
    "gitMinor": VERSION.split(".")[1],
    "gitTreeState": "clean",
    "gitCommit": "0" * 40,
}
NAMES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "coredns",
)


def link_programs(directory: Path) -> Path:
    """Put all programs into a directory. Builds them the first time: five minutes of two cores."""
    stamps = " ".join(f"-X {_PACKAGE}.{name}={value}" for name, value in _STAMPS.items())
    built = go_program(_MODULE, flags=("-ldflags", f"-s -w {stamps}"))
    directory.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        link = directory / name
        link.unlink(missing_ok=True)
        link.symlink_to(built)
    return directory
