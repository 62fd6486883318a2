"""MeshConfig: what each setting does here. `docs/reference/compatibility.md` has all of its fields."""

from collections.abc import Iterator, Sequence

from osm.core.install.names import MESH_CONFIG
from osm.core.migrate.certificates import judge_gateway
from osm.core.migrate.documents import Document, items, name, namespace, of_kind, part, text, title
from osm.core.migrate.installation import Former
from osm.core.migrate.report import Entry, Severity
from osm.core.migrate.setting_rows import ROWS
from osm.core.model.groups import CONFIG

_ON = {True: "true", False: "false"}


def mesh_config(former: Former, documents: Sequence[Document]) -> Document | None:
    """The mesh's settings, if they were seen."""
    wanted = former.arguments.get("osm-config-name") or MESH_CONFIG
    found = of_kind(documents, "MeshConfig", CONFIG)
    mine = (each for each in found if namespace(each) == former.namespace and name(each) == wanted)
    return next(mine, None)


def judge_settings(former: Former, documents: Sequence[Document]) -> Iterator[Entry]:
    """Every setting that is not as without it, and those that are not there."""
    config = mesh_config(former, documents)
    if config is None:
        yield Entry(
            Severity.ACTION,
            "mesh-config-unseen",
            f"MeshConfig {former.namespace}/{MESH_CONFIG}",
            "",
            "the mesh's settings were not seen",
            "Without one a new mesh has the defaults of `osm install`: compare them with what OSM's chart "
            "was given.",
        )
        return
    if name(config) != MESH_CONFIG:
        yield Entry(
            Severity.ACTION,
            "mesh-config-name",
            title(config),
            "metadata.name",
            f"only a MeshConfig of the name {MESH_CONFIG} counts",
            f"Save it as {MESH_CONFIG}.",
        )
    for row in ROWS:
        value = _value(config, row.path)
        if value is not None and row.fits(value):
            yield Entry(
                row.severity,
                row.code,
                title(config),
                f"spec.{row.path}",
                row.message,
                row.to_do,
            )
    yield from judge_gateway(config)
    yield from _judge_absent(config)


def _judge_absent(config: Document) -> Iterator[Entry]:
    for path in ("traffic.enablePermissiveTrafficPolicyMode", "traffic.enableEgress"):
        if _value(config, path) is None:
            yield Entry(
                Severity.CARRY_OVER,
                "default",
                title(config),
                f"spec.{path}",
                "it is not written, which means false, as in OSM's CRD; what the chart's values say does "
                "not count",
            )
    listed = items(config, "spec", "traffic", "networkInterfaceExclusionList")
    if listed:
        yield Entry(
            Severity.CARRY_OVER,
            "exclusions",
            title(config),
            "spec.traffic.networkInterfaceExclusionList",
            "these interfaces are left alone, of pods that are started anew",
        )


def _value(config: Document, path: str) -> object:
    *above, last = path.split(".")
    return part(config, "spec", *above).get(last)


def setting(config: Document | None, path: str) -> str:
    """A setting for people: `true`, `false`, a text, or nothing."""
    value = _value(config, path) if config else None
    return _ON[value] if isinstance(value, bool) else text({"value": value}, "value")
