"""Pods as a cluster has them: with a proxy of ours (as injection makes them), of OSM's, or with none."""

from collections.abc import Mapping
from typing import Any

import msgspec
from tests.unit.inject.pods import CLUSTER, answer
from tests.unit.inject.pods import namespace as home

from osm.core.inject.injection import Injected
from osm.kubernetes.slim import slim
from osm.testing.builders import Document, namespace, pod

INJECTION = "openservicemesh.io/sidecar-injection"
SHOP = "shop"
UUID = {"osm-proxy-uuid": "0b2f8a34-4d1c-4c27-9d6d-9f4f6f3c9c11"}


def own(document: Document, *, native: bool = True) -> Document:
    """The pod as the API server has it after our webhook, and as the control plane keeps it."""
    cluster = msgspec.structs.replace(CLUSTER, native=native)
    found = answer(document, cluster=cluster, home=home(SHOP))
    assert isinstance(found, Injected), found
    whole: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found.pod))
    return slim(whole)


def former(document: Document) -> Document:
    """The pod as OSM v1.2's injector left it (`reference/osm.md` §6.1), with a TCP probe."""
    ports = {"proxy-admin": 15000, "proxy-inbound": 15003, "proxy-metrics": 15010}
    named = [{"name": name, "containerPort": number} for name, number in ports.items()]
    added = {
        "initContainers": [{"name": "osm-init"}],
        "containers": [
            *part(document, "spec")["containers"],
            {"name": "osm-healthcheck", "ports": [{"containerPort": 15904}]},
            {"name": "envoy", "ports": named},
        ],
    }
    return labelled({**document, "spec": {**part(document, "spec"), **added}}, UUID)


def labelled(document: Document, labels: Mapping[str, str]) -> Document:
    """The pod with more labels."""
    metadata = part(document, "metadata")
    return {**document, "metadata": {**metadata, "labels": {**metadata["labels"], **labels}}}


def part(document: Document, name: str) -> dict[str, Any]:
    found = document[name]
    assert isinstance(found, dict)
    return found


def bare(name: str, ip: str = "10.0.0.9", *, ready: bool = True, **more: Any) -> Document:
    """A pod `name` of Deployment `web`, in namespace `shop`."""
    owner = more.pop("owner", ("ReplicaSet", "web-5f"))
    return pod(name, namespace=SHOP, app="web", ip=ip, ready=ready, owner=owner, **more)


def asking(mesh: str = "osm", **labels: str) -> Document:
    """The namespace, which asks for proxies."""
    annotated = namespace(SHOP, monitored_by=mesh, **labels)
    metadata = part(annotated, "metadata")
    return {**annotated, "metadata": {**metadata, "annotations": {INJECTION: "enabled"}}}
