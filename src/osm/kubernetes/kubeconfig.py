"""Which cluster is meant, and how to log in: files as kubectl reads them, else the pod's own account.

Several files of $KUBECONFIG are one: of two entries with the same name the first counts, and the
first file that names a current context decides it (kubectl, "Merging kubeconfig files").
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError as LightkubeConfigError

from osm.errors import ConfigError

DEFAULT_FILE = Path("~/.kube/config")
_LISTS = ("clusters", "users", "contexts")
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
"""What names a file, relative to the file that it stands in."""
_EXEC_GROUP = "client.authentication.k8s.io"
_EXEC_VERSION = f"{_EXEC_GROUP}/v1beta1"
"""What the library knows; v1 answers the same, and must be told what it is asked."""


def choose_cluster(kubeconfig: Path | None = None, context: str | None = None) -> SingleConfig:
    """A context of `kubeconfig`, else of $KUBECONFIG's files, else of the user's, else the pod's.

    Raises `ConfigError`.
    """
    files = [kubeconfig.expanduser()] if kubeconfig else _usual_files()
    named = ":".join(map(str, files))
    found = [file for file in files if file.is_file()]
    try:
        if not found:
            if kubeconfig or context or os.environ.get("KUBECONFIG"):
                raise _no_way(f"there is no file {named}")
            return _own_account(named)
        config = KubeConfig.from_dict(merge(map(_read, found)))
        chosen = config.get(context_name=context)
    except (LightkubeConfigError, msgspec.ValidationError, TypeError) as error:
        raise _no_way(f"{named}: {error}") from error
    except KeyError as error:
        raise _no_way(f"{named} has no entry {error}, and one refers to it") from error
    if chosen is None:
        raise _no_way(f"{named} has no current context")
    return chosen


def merge(configs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One configuration of several: whatever comes first counts."""
    entries: dict[str, dict[str, Any]] = {name: {} for name in _LISTS}
    current = ""
    for config in configs:
        current = current or config.get("current-context") or ""
        for name, known in entries.items():
            for entry in config.get(name) or ():
                known.setdefault(entry["name"], entry)
    return {name: list(known.values()) for name, known in entries.items()} | {
        "current-context": current or None
    }


def _usual_files() -> list[Path]:
    listed = os.environ.get("KUBECONFIG", "")
    files = [Path(name).expanduser() for name in listed.split(os.pathsep) if name]
    return files or [DEFAULT_FILE.expanduser()]


def _own_account(file: str) -> SingleConfig:
    try:
        chosen = KubeConfig.from_service_account().get()
    except (LightkubeConfigError, KeyError) as error:
        raise _no_way(f"there is neither {file} nor an account of a pod") from error
    assert chosen is not None
    return chosen


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_bytes()) or {}
    except (OSError, yaml.YAMLError, UnicodeError) as error:
        raise _no_way(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise _no_way(f"{file} is no kubeconfig")
    for cluster in content.get("clusters") or ():
        _place(cluster.get("cluster"), file.parent)
    for user in content.get("users") or ():
        login = user["user"] = user.get("user") or {}
        _place(login, file.parent)
        _modernise(login.get("exec"), file.parent)
    return content


def _place(entry: Any, folder: Path) -> None:
    """Make the names of files absolute: the library knows one folder for all entries."""
    for name in _FILES if isinstance(entry, dict) else ():
        if entry.get(name):
            entry[name] = str(folder.absolute() / entry[name])


def _modernise(login: Any, folder: Path) -> None:
    """Let a login program of `client.authentication.k8s.io/v1` run by a library that knows v1beta1."""
    if not isinstance(login, dict):
        return
    if "/" in str(login.get("command", "")):
        login["command"] = str(folder.absolute() / login["command"])
    asked = login.get("apiVersion")
    if asked == f"{_EXEC_GROUP}/v1":
        login["apiVersion"] = _EXEC_VERSION
    question = {"apiVersion": asked, "kind": "ExecCredential", "spec": {"interactive": False}}
    told = {"name": "KUBERNETES_EXEC_INFO", "value": json.dumps(question)}
    login["env"] = [*(login.get("env") or ()), told]


def _no_way(why: str) -> ConfigError:
    return ConfigError(
        f"There is no way to a cluster: {why}.",
        hint="Set KUBECONFIG or --kubeconfig, or name one of its contexts with --context.",
    )
