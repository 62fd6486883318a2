"""Installations under test."""

from collections.abc import Mapping
from typing import Any

from osm.core.install.manifests import manifests
from osm.core.install.names import Installation
from osm.core.install.presets import PRESETS
from osm.core.install.set_text import with_set
from osm.core.install.values_reading import read_values

VERSION = "2.0.0"
OSM = Installation()


def made(
    text: str = "", preset: str = "default", installation: Installation = OSM
) -> tuple[dict[str, Any], ...]:
    """The objects of a preset, with what `--set` changes."""
    values = read_values(with_set(PRESETS[preset], text)).values
    return manifests(installation, values, VERSION)


def one(kind: str, text: str = "", preset: str = "default", name: str = "") -> dict[str, Any]:
    """The only object of a kind, or that of a name."""
    (found,) = (
        each
        for each in made(text, preset)
        if each["kind"] == kind and name in ("", each["metadata"]["name"])
    )
    return found


def pod(text: str = "", preset: str = "default") -> Mapping[str, Any]:
    """The control plane's pod."""
    template: Mapping[str, Any] = one("Deployment", text, preset)["spec"]["template"]
    return template
