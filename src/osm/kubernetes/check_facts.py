"""Gathers what `osm check` looks at. What cannot be read becomes `Unseen`, and nothing else fails."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from osm import __version__
from osm.core.check.facts import (
    ControlPlane,
    Definition,
    Facts,
    Node,
    Permission,
    Unseen,
    WantedDefinition,
)
from osm.core.check.readiness import condition, unready
from osm.core.install.manifests import crds, manifests, namespace
from osm.core.install.names import (
    APP_LABEL,
    CONTROLLER,
    INSTANCE_LABEL,
    MESH_LABEL,
    SINGLE_MESH_LABEL,
    VERSION_LABEL,
    Installation,
)
from osm.core.install.single_mesh import former_mesh_of, is_ours
from osm.core.install.values import Values
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.apply import Document, Objects
from osm.kubernetes.installing import foreign
from osm.kubernetes.mesh_facts import mesh_facts
from osm.kubernetes.resources import Ref, built_in, ref_of
from osm.kubernetes.seen import seen

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_VERBS = ("create", "patch")


async def gather_facts(
    server: ApiServer, installation: Installation, *, before: bool, now: datetime
) -> Facts:
    """All facts for checks before or after an installation."""
    objects = Objects(server)
    version = await seen(lambda: _version(server))
    base = Facts(now=now, client_version=__version__, installation=installation, server=version)
    if isinstance(version, Unseen):
        return base
    nodes, planes, definitions = await asyncio.gather(
        seen(lambda: _nodes(objects)),
        seen(lambda: control_planes(objects)),
        seen(lambda: _definitions(objects)),
    )
    documents = manifests(installation, Values(), __version__)
    common: dict[str, Any] = {
        "nodes": nodes,
        "planes": planes,
        "wanted_definitions": tuple(map(_wanted_definition, crds())),
        "definitions": definitions,
    }
    if before:
        everything = (namespace(installation), *crds(), *documents)
        permissions, taken = await asyncio.gather(
            seen(lambda: _permissions(server, everything)),
            seen(lambda: foreign(objects, installation, documents)),
        )
        common |= {"permissions": permissions, "foreign": taken}
    else:
        common |= await mesh_facts(objects, installation)
    return msgspec.structs.replace(base, **common)


async def control_planes(objects: Objects) -> tuple[ControlPlane, ...]:
    """Every control plane of the cluster, OSM's own too: by the label that all of them have."""
    found = await objects.list("apps/v1", "Deployment", labelSelector=f"{APP_LABEL}={CONTROLLER}")
    return tuple(sorted(map(_plane, found), key=lambda each: each.installation))


def _plane(document: Document) -> ControlPlane:
    metadata = document["metadata"]
    labels = metadata.get("labels") or {}
    mesh = labels.get(MESH_LABEL) or labels.get(INSTANCE_LABEL) or ""
    return ControlPlane(
        Installation(mesh, metadata["namespace"]),
        labels.get(VERSION_LABEL, ""),
        labels.get(SINGLE_MESH_LABEL) == "true",
        unready(document),
        is_ours(document),
        former_mesh_of(document),
    )


async def _version(server: ApiServer) -> str:
    return str(json.loads(await server.get("/version"))["gitVersion"])


async def _nodes(objects: Objects) -> tuple[Node, ...]:
    return tuple(map(_node, await objects.list("v1", "Node")))


def _node(document: Document) -> Node:
    told = (document.get("status") or {}).get("nodeInfo") or {}
    return Node(
        document["metadata"]["name"],
        told.get("kubeletVersion", ""),
        told.get("operatingSystem", ""),
        told.get("architecture", ""),
        told.get("kernelVersion", ""),
        condition(document, "Ready").get("status") == "True",
    )


async def _definitions(objects: Objects) -> tuple[Definition, ...]:
    found = await asyncio.gather(*(objects.get(ref_of(each)) for each in crds()))
    return tuple(_definition(each) for each in found if each is not None)


def _definition(document: Document) -> Definition:
    return Definition(
        document["metadata"]["name"],
        unready(document),
        tuple(each["name"] for each in document["spec"]["versions"] if each["served"]),
        tuple((document.get("status") or {}).get("storedVersions") or ()),
    )


def _wanted_definition(document: Document) -> WantedDefinition:
    versions = document["spec"]["versions"]
    return WantedDefinition(
        document["metadata"]["name"],
        tuple(each["name"] for each in versions if each["served"]),
        tuple(each["name"] for each in versions),
    )


async def _permissions(server: ApiServer, documents: Sequence[Document]) -> tuple[Permission, ...]:
    definitions: tuple[Document, ...] = crds()
    plurals = {
        (each["spec"]["group"], each["spec"]["names"]["kind"]): each["spec"]["names"]["plural"]
        for each in definitions
    }
    wanted = dict.fromkeys(
        (verb, *_resource(ref_of(each), plurals)) for each in documents for verb in _VERBS
    )
    return tuple(await asyncio.gather(*(_permission(server, *each) for each in wanted)))


def _resource(ref: Ref, plurals: dict[tuple[str, str], str]) -> tuple[str, str, str]:
    group, _, _ = ref.api_version.rpartition("/")
    known = built_in(ref.api_version, ref.kind)
    return group, known.plural if known else plurals[group, ref.kind], ref.namespace


async def _permission(
    server: ApiServer, verb: str, group: str, plural: str, place: str
) -> Permission:
    asked = {"verb": verb, "group": group, "resource": plural, "namespace": place}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = json.loads(await server.request("POST", _REVIEWS, body=body))
    name = f"{plural}.{group}" if group else plural
    return Permission(verb, name, place, bool(answer["status"]["allowed"]))
