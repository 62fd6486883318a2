"""Checks of what is in the cluster already: other meshes, definitions of kinds, names that are taken."""

from osm.core.check.facts import Facts, Unseen
from osm.core.check.outcome import Check, Found, Group, failed, fine, skipped, warned
from osm.core.check.versions import OLDEST_OWN, is_older
from osm.core.install import single_mesh


def _no_other(facts: Facts) -> Found:
    if isinstance(facts.planes, Unseen):
        return skipped(facts.planes.why)
    here = facts.installation
    mine = next((each for each in facts.planes if each.installation == here), None)
    if mine is not None and is_older(mine.version, OLDEST_OWN):
        return failed(f"mesh {here.mesh} is of OSM {mine.version}: `osm migrate check` looks at it")
    if mine is not None:
        return warned(f"mesh {here.mesh} is installed already: `osm install` would change it")
    # Whether the new one wants to be the only one is not known yet; that is `osm install`'s default.
    there = [
        single_mesh.ControlPlane(
            p.installation.mesh, p.installation.namespace, p.single, not p.ours
        )
        for p in facts.planes
    ]
    return failed(*single_mesh.refusals(here, single=True, there=there))


def _names_free(facts: Facts) -> Found:
    if isinstance(facts.foreign, Unseen):
        return skipped(facts.foreign.why)
    return failed(*(f"{name} exists, and is not of this mesh" for name in facts.foreign))


def _stored_versions(facts: Facts) -> Found:
    if isinstance(facts.definitions, Unseen):
        return skipped(facts.definitions.why)
    wanted = {each.name: each for each in facts.wanted_definitions}
    lost = []
    for each in facts.definitions:
        versions = wanted[each.name].versions if each.name in wanted else each.stored
        unknown = sorted(set(each.stored) - set(versions))
        lost += [
            f"{each.name} has objects stored as {one}, which this osm has not" for one in unknown
        ]
    return failed(*lost)


def _defined(facts: Facts) -> Found:
    if isinstance(facts.definitions, Unseen):
        return skipped(facts.definitions.why)
    there = {each.name: each for each in facts.definitions}
    wrong = []
    for wanted in facts.wanted_definitions:
        found = there.get(wanted.name)
        if found is None:
            wrong.append(f"{wanted.name} is missing")
        elif found.why_unready:
            wrong.append(f"{wanted.name}: {found.why_unready}")
        elif missing := sorted(set(wanted.served) - set(found.served)):
            wrong.append(f"{wanted.name} does not serve {', '.join(missing)}")
    return failed(*wrong) if wrong else fine(f"{len(facts.wanted_definitions)} kinds")


MESHES = Group(
    "existing-meshes",
    (
        Check(
            "no-other-mesh",
            "no other mesh is in the way",
            "Several meshes live together when each is installed with --enforce-single-mesh=false.",
            _no_other,
            after=False,
        ),
        Check(
            "names-are-free",
            "the names that the mesh uses are free",
            "Remove them, or install with another --mesh-name or --osm-namespace.",
            _names_free,
            after=False,
        ),
    ),
)
KINDS = Group(
    "kinds",
    (
        Check(
            "stored-versions-known",
            "objects are stored in versions that this osm knows",
            "Write these objects anew in a newer version, and take the old one out of "
            "status.storedVersions of the CustomResourceDefinition.",
            _stored_versions,
        ),
        Check(
            "kinds-defined",
            "all kinds of the mesh are defined and served",
            "`osm crds | kubectl apply --server-side -f -` defines them.",
            _defined,
            before=False,
        ),
    ),
)
