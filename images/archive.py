"""Layers and images as files, in the format of `docker save`, which every runtime imports."""

import hashlib
import io
import json
import platform
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from .bytecode import compiled

EPOCH = "1970-01-01T00:00:00Z"
KEPT_S = 24 * 3600
_BLOCK = 2**20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class File(msgspec.Struct, frozen=True):
    """A file of this machine. Of its mode counts only whether it may be executed."""

    source: Path


class Text(msgspec.Struct, frozen=True):
    """A file that is written here."""

    content: bytes
    executable: bool = False


class Link(msgspec.Struct, frozen=True):
    """A symbolic link."""

    target: str


class Directory(msgspec.Struct, frozen=True):
    """Needed only for a mode of its own."""

    mode: int = 0o755


Entry = File | Text | Link | Directory
Layer = Mapping[str, Entry]
"""By the path in the image, without a leading slash."""


class Image(msgspec.Struct, frozen=True):
    """`names` with tags. `user` is a number, as `runAsNonRoot` wants it."""

    names: Sequence[str]
    layers: Sequence[Layer]
    user: int
    entrypoint: Sequence[str] = ()
    environment: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}


def write_archive(images: Sequence[Image], out: Path, cache: Path) -> None:
    """Write images into one archive, each layer once. Layers are kept in `cache` by what they are
    made of.
    """
    cache.mkdir(parents=True, exist_ok=True)
    made: list[tuple[Layer, str]] = []
    files: dict[str, Path] = {}
    for layer in (layer for image in images for layer in image.layers):
        if all(layer != known for known, _ in made):
            file = _layer_file(layer, cache)
            digest = _digest(file)
            made.append((layer, digest))
            files[f"{digest}/layer.tar"] = file
    configs: dict[str, bytes] = {}
    manifest = []
    for image in images:
        digests = [next(d for known, d in made if known == layer) for layer in image.layers]
        config = _json(_config(image, digests))
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        places = [f"{digest}/layer.tar" for digest in digests]
        configs[name] = config
        manifest.append({"Config": name, "RepoTags": [*image.names], "Layers": places})
    with _replacing(out) as archive:
        for name, config in sorted(configs.items()):
            _add_bytes(archive, name, config)
        for place, file in sorted(files.items()):
            _add_file(archive, place, file)
        _add_bytes(archive, "manifest.json", _json(manifest))
    _forget(cache)


def _config(image: Image, digests: Sequence[str]) -> object:
    return {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": EPOCH,
        "config": {
            "User": str(image.user),
            "Env": [f"{name}={value}" for name, value in sorted(image.environment.items())],
            "Entrypoint": [*image.entrypoint] or None,
            "Labels": dict(sorted(image.labels.items())),
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": EPOCH} for _ in digests],
    }


def _layer_file(layer: Layer, cache: Path) -> Path:
    """The layer as a tar file; Python sources have their compiled form beside them."""
    key = hashlib.sha256()
    for path, entry in sorted(layer.items()):
        key.update(f"{path}\0{_described(entry)}\0".encode())
    out = cache / f"{key.hexdigest()[:32]}.tar"
    if not out.exists():
        sources = {
            path: entry.source
            for path, entry in layer.items()
            if isinstance(entry, File) and path.endswith(".py")
        }
        whole = {**layer, **{path: Text(code) for path, code in compiled(sources).items()}}
        directories: Layer = {path: Directory() for path in _directories(whole)}
        with _replacing(out) as archive:
            for path, entry in sorted({**directories, **whole}.items()):
                _add(archive, path, entry)
    out.touch()
    return out


@contextmanager
def _replacing(out: Path) -> Iterator[tarfile.TarFile]:
    """A tar file that is there when it is whole: others may build the same, or read the former one."""
    with TemporaryDirectory(dir=out.parent, prefix=".partial-") as directory:
        partial = Path(directory) / out.name
        with tarfile.open(partial, "w") as archive:
            yield archive
        partial.rename(out)


def _forget(cache: Path) -> None:
    """Remove layers that no image has used for a day."""
    for layer in cache.glob("*.tar"):
        with suppress(FileNotFoundError):  # another one does the same
            if time.time() - layer.stat().st_mtime > KEPT_S:
                layer.unlink()


def _described(entry: Entry) -> str:
    if isinstance(entry, File):
        return f"file {_digest(entry.source)} {_executable(entry.source)}"
    return repr(entry)


def _directories(layer: Layer) -> Sequence[str]:
    parents = {str(parent) for path in layer for parent in Path(path).parents}
    return sorted(parents - {"."})


def _add(archive: tarfile.TarFile, path: str, entry: Entry) -> None:
    match entry:
        case File(source):
            _add_file(archive, path, source, executable=_executable(source))
        case Text(content, executable):
            _add_bytes(archive, path, content, executable=executable)
        case Link(target):
            header = tarfile.TarInfo(path)
            header.type, header.linkname, header.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(header)
        case Directory():
            _add_directory(archive, path, entry)


def _add_directory(archive: tarfile.TarFile, path: str, entry: Directory) -> None:
    header = tarfile.TarInfo(path)
    header.type, header.mode = tarfile.DIRTYPE, entry.mode
    archive.addfile(header)


def _add_file(
    archive: tarfile.TarFile, path: str, source: Path, *, executable: bool = False
) -> None:
    header = tarfile.TarInfo(path)
    header.size, header.mode = source.stat().st_size, 0o755 if executable else 0o644
    with source.open("rb") as content:
        archive.addfile(header, content)


def _add_bytes(
    archive: tarfile.TarFile, path: str, content: bytes, *, executable: bool = False
) -> None:
    header = tarfile.TarInfo(path)
    header.size, header.mode = len(content), 0o755 if executable else 0o644
    archive.addfile(header, io.BytesIO(content))


def _executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
