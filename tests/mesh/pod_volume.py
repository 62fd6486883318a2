"""What the kubelet gives to a pod, and what the pod's Envoy has made of it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from osm.core.envoy.bootstrap import (
    TOKEN_FILE,
    TRUST_FILE,
    build_token_file,
    build_volume_trust_file,
)
from osm.core.envoy.names import SERVICE_CERTIFICATE
from osm.core.envoy.token import VOLUME_ROOTS, VOLUME_TOKEN
from osm.local.proxy import ask_admin

from .serving import NAME


class Volume:
    """A projected volume, whose content is replaced as the kubelet does: all files in one step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._generation = 0
        path.mkdir()

    def put(self, token: str, roots: bytes) -> None:
        """Replace all. Without a token its link leads nowhere."""
        files = {
            TOKEN_FILE: build_token_file(str(self.path)),
            TRUST_FILE: build_volume_trust_file(str(self.path), NAME),
            VOLUME_ROOTS: roots.decode(),
        }
        if token:
            files[VOLUME_TOKEN] = token
        self._generation += 1
        fresh = self.path / f"..{self._generation}"
        fresh.mkdir()
        for file, text in files.items():
            (fresh / file).write_text(text)
        new = self.path / "..data_tmp"
        new.symlink_to(fresh.name)
        new.rename(self.path / "..data")
        for file in (*files, VOLUME_TOKEN):
            if not os.path.lexists(self.path / file):
                (self.path / file).symlink_to(f"..data/{file}")


async def dump(envoy: Path, query: str) -> list[Mapping[str, object]]:
    _, body = await ask_admin(envoy, f"/config_dump?{query}")
    found: list[Mapping[str, object]] = json.loads(body).get("configs", [])
    return found


async def has_certificate(envoy: Path) -> bool:
    """Whether an Envoy has a certificate of its workload."""
    secrets = await dump(envoy, "resource=dynamic_active_secrets")
    return any(
        each["name"] == SERVICE_CERTIFICATE and "certificate_chain" in json.dumps(each)
        for each in secrets
    )


async def has_listener(envoy: Path) -> bool:
    listeners = await dump(envoy, "resource=dynamic_listeners")
    return any("active_state" in each for each in listeners)
