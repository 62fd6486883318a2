"""Builders of what people write about logs and traces."""

from collections.abc import Mapping

from osm.testing.builders import Document, mesh_config

_CONFIG = "config.openservicemesh.io/v1alpha2"
_POLICY = "policy.openservicemesh.io/v1alpha1"


def telemetry(
    name: str,
    *,
    namespace: str = "default",
    created: str = "",
    selector: Mapping[str, str] | None = None,
    text: str | None = "",
    collector: str = "",
    attributes: Mapping[str, str] | None = None,
) -> Document:
    """A Telemetry. `text` is the format: empty for the default one, None for no `accessLog` at all.
    `collector` is an ExtensionService, `[namespace/]name`.
    """
    log: dict[str, object] = {"format": text} if text else {}
    if collector:
        place, _, short = collector.rpartition("/")
        service = {"namespace": place or namespace, "name": short}
        log["openTelemetry"] = {"extensionService": service, "attributes": attributes or {}}
    spec: dict[str, object] = {"selector": selector} if selector else {}
    if text is not None:
        spec["accessLog"] = log
    return {
        "apiVersion": _POLICY,
        "kind": "Telemetry",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created},
        "spec": spec,
    }


def extension_service(
    name: str, host: str, port: int, *, namespace: str = "default", **more: object
) -> Document:
    """An ExtensionService; `more` are fields such as `protocol` and `connectTimeout`."""
    return {
        "apiVersion": _CONFIG,
        "kind": "ExtensionService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"host": host, "port": port, **more},
    }


def tracing(address: str = "", **more: object) -> Document:
    """A MeshConfig that switches tracing on."""
    written = {"enable": True, **({"address": address} if address else {}), **more}
    return mesh_config(observability={"tracing": written})
