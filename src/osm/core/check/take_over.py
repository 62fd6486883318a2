"""Checks of a mesh that takes over from one of OSM's: what is left to do. Other meshes have none."""

from osm.core.check.facts import Facts, Unseen
from osm.core.check.outcome import Check, Found, Group, failed, fine, skipped, warned

_SHOWN = 10


def _is_on_its_way(facts: Facts) -> bool:
    return bool(facts.former_mesh or _taken(facts))


def _former_is_there(facts: Facts) -> Found:
    if not facts.former_mesh:
        return fine("no mesh is named")
    assert isinstance(facts.planes, tuple)
    if any(each.installation.mesh == facts.former_mesh for each in facts.planes):
        left = facts.former_namespaces if isinstance(facts.former_namespaces, tuple) else ()
        to_do = [f"to be taken over still: {_names(list(left))}"] if left else []
        return fine(f"mesh {facts.former_mesh}", *to_do)
    return warned(
        f"there is no control plane of mesh {facts.former_mesh} any more, and certificates that name "
        "an identity as its proxies did are still taken"
    )


def _are_served(facts: Facts) -> Found:
    if isinstance(facts.namespaces, Unseen):
        return skipped(facts.namespaces.why)
    taken = _taken(facts)
    lost = [f"namespace {name} of mesh {mesh}" for name, mesh in taken if mesh != facts.former_mesh]
    if lost:
        return failed(*(f"{each} was taken over, and that mesh is not named" for each in lost))
    return fine(_names([name for name, _ in taken])) if taken else fine()


def _no_old_proxies(facts: Facts) -> Found:
    if isinstance(facts.proxies, Unseen):
        return skipped(facts.proxies.why)
    old = [f"{each.namespace}/{each.pod}" for each in facts.proxies if each.former]
    return warned(*(f"pod {name} has its proxy from OSM still" for name in old[:_SHOWN]))


def _taken(facts: Facts) -> list[tuple[str, str]]:
    namespaces = facts.namespaces if isinstance(facts.namespaces, tuple) else ()
    return [(each.name, each.former_mesh) for each in namespaces if each.former_mesh]


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


TAKE_OVER = Group(
    "take-over",
    (
        Check(
            "former-mesh-is-there",
            "the mesh that is taken over from is there",
            "End the take-over: `osm namespace add` for each of its namespaces, and then "
            "`osm mesh upgrade --set osm.formerMeshName=`.",
            _former_is_there,
            before=False,
        ),
        Check(
            "taken-namespaces-served",
            "namespaces that were taken over are in the mesh",
            "`osm namespace add` makes it one of this mesh, if the former one is gone; else name that: "
            "`osm mesh upgrade --set osm.formerMeshName=NAME`.",
            _are_served,
            before=False,
        ),
        Check(
            "former-proxies-gone",
            "pods of namespaces that were taken over have their new proxies",
            "`kubectl rollout restart` of their workloads gives them one.",
            _no_old_proxies,
            before=False,
        ),
    ),
    _is_on_its_way,
)
