"""The whole of it: objects in, a report with a plan for each mesh out."""

from collections.abc import Iterator, Sequence

from osm.core.migrate.certificates import judge_certificates
from osm.core.migrate.definitions import judge_definitions, judge_ownership
from osm.core.migrate.documents import Document
from osm.core.migrate.helm import judge_values
from osm.core.migrate.installation import Former, former_meshes, judge_installation
from osm.core.migrate.plan import plans
from osm.core.migrate.pods import judge_workloads, namespaces_of
from osm.core.migrate.policies import behaviour, judge_policies
from osm.core.migrate.report import Entry, Report, in_order
from osm.core.migrate.settings import judge_settings, mesh_config, setting


def judge(documents: Sequence[Document]) -> Report:
    """Judge all that was seen. Without a control plane of OSM the report is empty."""
    meshes = former_meshes(documents)
    if not meshes:
        return Report((), (), ())
    entries = list(judge_definitions(documents))
    entries += judge_policies(
        documents,
        frozenset(each for mesh in meshes for each in namespaces_of(mesh.mesh, documents)),
        permissive=all(_is_permissive(mesh, documents) for mesh in meshes),
    )
    for mesh in meshes:
        entries += _judge_mesh(mesh, documents)
    found = tuple(_found(mesh, documents) for mesh in meshes)
    return Report(found, in_order(entries), tuple(p for m in meshes for p in plans(m, documents)))


def _judge_mesh(mesh: Former, documents: Sequence[Document]) -> Iterator[Entry]:
    yield from judge_installation(mesh, documents)
    yield from judge_settings(mesh, documents)
    yield from judge_certificates(mesh, documents)
    yield from judge_ownership(mesh, documents)
    yield from judge_values(mesh, documents)
    yield from judge_workloads(mesh, documents)
    yield from behaviour(permissive=_is_permissive(mesh, documents))


def _is_permissive(mesh: Former, documents: Sequence[Document]) -> bool:
    path = "traffic.enablePermissiveTrafficPolicyMode"
    return setting(mesh_config(mesh, documents), path) == "true"


def _found(mesh: Former, documents: Sequence[Document]) -> str:
    version = f"OSM {mesh.version}" if mesh.version else "OSM of an unknown version"
    places = ", ".join(namespaces_of(mesh.mesh, documents)) or "none"
    return f"mesh {mesh.mesh} of {version} in namespace {mesh.namespace}; its namespaces: {places}"
