"""What a proxy runs against what it should run. Pure."""

import difflib
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Literal

import msgspec
import yaml

from osm.cli.running import Key, RunningResource
from osm.ports import ExpectedResource

_LONGEST_SHOWN = 120
"""Longer bytes (certificates) are shown by their hash."""

NOUNS = {
    "CDS": "cluster",
    "EDS": "endpoints",
    "SDS": "secret",
    "LDS": "listener",
    "ECDS": "extension",
    "RDS": "routes",
    "VHDS": "virtual host",
    "RTDS": "runtime layer",
}


class Difference(msgspec.Struct, frozen=True):
    """A resource that a proxy does not run as it should.

    `missing`: it should run it and does not. `extra`: it runs it and should not. Versions are empty
    where there is none, or where Envoy tells none.
    """

    kind: Literal["missing", "extra", "different"]
    type: str
    name: str
    running_version: str
    expected_version: str
    warming: bool = False
    """The proxy has received it, and waits for something that it refers to."""
    diff: tuple[str, ...] = ()
    """A unified diff of YAML, `-` for what runs and `+` for what should."""


class Comparison(msgspec.Struct, frozen=True):
    """One proxy compared, resource by resource."""

    by_version: int
    """Alike, as their versions say."""
    by_content: int
    """Alike in content, where Envoy tells no version, or not the newest one."""
    differences: tuple[Difference, ...] = ()

    @property
    def in_sync(self) -> bool:
        """Whether there is no difference."""
        return not self.differences


def compare(
    expected: Iterable[ExpectedResource], running: Mapping[Key, RunningResource]
) -> Comparison:
    """Compare by version where Envoy tells the right one, and else by content."""
    by_version = by_content = 0
    differences = []
    wanted = {(each.type, each.name): each for each in expected}
    for key, each in wanted.items():
        found = running.get(key)
        if found is None:
            differences.append(Difference("missing", *key, "", each.version))
        elif found.warming == each.version:
            differences.append(_different(found, each))
        elif found.version == each.version:
            by_version += 1
        elif _plain(each.type, each.config) == _plain(each.type, found.config):
            by_content += 1  # no version, or a listener's old one: Envoy keeps it (debugging.md)
        else:
            differences.append(_different(found, each))
    differences += [
        Difference("extra", *key, found.version, "")
        for key, found in running.items()
        if key not in wanted
        and found.config.get("layer") != {}  # Envoy shows a layer without values
    ]
    return Comparison(by_version, by_content, tuple(differences))


def _different(running: RunningResource, expected: ExpectedResource) -> Difference:
    lines = difflib.unified_diff(
        _lines(expected.type, running.config),
        _lines(expected.type, expected.config),
        "running",
        "expected",
        lineterm="",
    )
    return Difference(
        "different",
        expected.type,
        expected.name,
        running.version,
        expected.version,
        bool(running.warming) and running.warming == expected.version,
        tuple(lines),
    )


def _lines(kind: str, config: Mapping[str, Any]) -> list[str]:
    return str(yaml.safe_dump(_plain(kind, config), width=100, allow_unicode=True)).splitlines()


def _plain(kind: str, config: Mapping[str, Any]) -> Any:
    """The same for the same meaning, whoever wrote it."""
    if kind == "EDS":
        return _plain_endpoints(config)
    if kind == "RTDS":
        layer = config.get("layer", {})
        return {**config, "layer": {key: _text(value) for key, value in layer.items()}}
    return _short(config)


def _text(value: object) -> str:
    """A runtime value as Envoy shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, int | float) else str(value)


def _plain_endpoints(config: Mapping[str, Any]) -> Any:
    """Without what Envoy adds (defaults, whether an endpoint is healthy now) and what it leaves out."""
    localities = []
    for locality in config.get("endpoints", ()):
        endpoints = [_plain_endpoint(each) for each in locality.get("lb_endpoints", ())]
        if endpoints:
            rest = _without(locality, load_balancing_weight=0, locality={})
            localities.append(_sorted({**rest, "lb_endpoints": sorted(endpoints, key=repr)}))
    rest = _without(config, policy={"overprovisioning_factor": 140})
    return {**rest, "endpoints": sorted(localities, key=repr)}


def _plain_endpoint(each: Mapping[str, Any]) -> Any:
    rest = _without(each, load_balancing_weight=1)
    rest.pop("health_status", None)
    endpoint = _without(rest.get("endpoint", {}), health_check_config={})
    pipe = endpoint.get("address", {}).get("pipe")
    if pipe is not None:  # Envoy leaves its `mode` out
        endpoint["address"] = {"pipe": {"path": pipe.get("path")}}
    return _sorted({**rest, "endpoint": endpoint})


def _without(value: Mapping[str, Any], **defaults: object) -> dict[str, Any]:
    return {k: v for k, v in value.items() if k not in defaults or defaults[k] != v}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _hashed(each) if key == "inline_bytes" else _short(each)
            for key, each in value.items()
        }
    return [_short(each) for each in value] if isinstance(value, list) else value


def _hashed(value: Any) -> Any:
    try:
        content = b64decode(value, validate=True)
    except (NotBase64, TypeError, ValueError):
        return value
    if len(value) > _LONGEST_SHOWN:
        return f"{len(content)} bytes, SHA-256 {sha256(content).hexdigest()[:32]}"
    return content.decode(errors="replace")
