"""Requests for admission, as API servers make them, and both webhooks that answer them."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from tests.unit.inject.pods import CLUSTER, bootstrap, namespace, pod

from osm.core.api.decode import decode
from osm.core.api.kubernetes import Namespace
from osm.core.api.manifest import Key, Manifest
from osm.core.inject.injection import Cluster
from osm.core.model.probe import Probes
from osm.kubernetes.admission import reviewing
from osm.kubernetes.webhook_connection import Answer
from osm.runtime.admission import FindNamespace, Injector, Validator
from osm.telemetry.admission import AdmissionMetrics

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
VERSION = "admission.k8s.io/v1"
Json = Mapping[str, object]
Objects = Mapping[Key, Manifest]


def review(document: object = None, **fields: object) -> dict[str, Any]:
    """What an API server posts for a pod that is to be created; fields of the request may differ."""
    request: dict[str, object] = {
        "uid": UID,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": {"username": "admin", "groups": ["system:masters"]},
        "object": pod() if document is None else document,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    return {"apiVersion": VERSION, "kind": "AdmissionReview", "request": request | fields}


def of_mesh(document: dict[str, Any], **fields: object) -> dict[str, Any]:
    """The same for an object of ours."""
    group, _, version = str(document["apiVersion"]).rpartition("/")
    kind = {"group": group, "version": version, "kind": document["kind"]}
    return review(document, kind=kind, **fields)


class Response(msgspec.Struct, rename="camel"):
    """The part of the answer that an API server acts on."""

    uid: str
    allowed: bool
    patch: str = ""
    patch_type: str = ""
    warnings: list[str] = []
    status: dict[str, Any] = {}

    @property
    def steps(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(base64.b64decode(self.patch)) if self.patch else []
        return found

    @property
    def message(self) -> str:
        return str(self.status.get("message", ""))


async def asked(answer: Answer, posted: object) -> Response:
    """What the webhook answers to a review."""
    body = msgspec.json.decode(await answer(msgspec.json.encode(posted)))
    assert (body["apiVersion"], body["kind"]) == (VERSION, "AdmissionReview")
    return msgspec.convert(body["response"], Response)


async def nowhere(name: str) -> Namespace | None:
    return None


def injector(
    home: Namespace | None = None,
    *,
    find: FindNamespace = nowhere,
    objects: Objects | None = None,
    cluster: Cluster = CLUSTER,
    metrics: AdmissionMetrics | None = None,
    start: Callable[[Probes], str] = bootstrap,
) -> Answer:
    """The injector of a mesh whose copy has one namespace."""
    home = home or namespace()
    key = Key("", "Namespace", "", home.metadata.name)
    known = {key: Manifest(key, home, {})} if objects is None else objects
    counts = metrics or AdmissionMetrics(CollectorRegistry())
    return reviewing(Injector(lambda: cluster, lambda: known, find, start, counts).decide)


def validator(*present: Json, **how: bool) -> Answer:
    """The validator of a mesh that has these objects."""
    metrics = AdmissionMetrics(CollectorRegistry())
    objects = {each.key: each for each in map(manifest, present)}
    return reviewing(Validator(lambda: objects, metrics, **how).decide)


def manifest(document: Json) -> Manifest:
    found = decode(document).manifest
    assert found is not None, decode(document).findings
    return found
