"""Which objects a text of YAML is about, without a look at what is in them."""

from collections.abc import Iterator, Mapping

import yaml

from osm.cli.manifest_text import ManifestText
from osm.cli.names import DEFAULT_NAMESPACE, is_label, is_object_name
from osm.core.api.manifest import Key
from osm.core.api.registry import kind_of
from osm.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Keeps scalars as they are written: a name such as `1e3` or `on` is a name."""


_Loader.yaml_implicit_resolvers = {}


def keys_of(manifests: ManifestText) -> tuple[Key, ...]:
    """List the objects' keys, in the order of the text and without repetition."""
    keys: dict[Key, None] = {}
    try:
        for node in yaml.compose_all(manifests.text, Loader=_Loader):
            where = manifests.place(f"stdin:{node.start_mark.line + 1}")
            loader = _Loader("")
            keys |= dict.fromkeys(_keys(loader.construct_document(node), where))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = manifests.place(f"stdin:{mark.line + 1}") if mark else manifests.parts[0].name
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise ConfigError(f"{where}: this is not YAML: {problem}.") from error
    except RecursionError as error:
        raise ConfigError(f"{manifests.parts[0].name}: this is nested too deeply.") from error
    if not keys:
        raise ConfigError("There are no objects in what was given.")
    return tuple(keys)


def _keys(document: object, where: str) -> Iterator[Key]:
    if document in (None, ""):
        return
    if not isinstance(document, Mapping):
        raise ConfigError(f"{where}: this is not an object with apiVersion, kind and metadata.")
    kind = document.get("kind")
    items = document.get("items")
    if kind == "List" and isinstance(items, list):
        for item in items:
            yield from _keys(item, where)
        return
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(kind, str) or not isinstance(name, str) or not is_object_name(name):
        raise ConfigError(f"{where}: an object needs a kind and a metadata.name.")
    group = str(document.get("apiVersion") or "").rpartition("/")[0]
    known = kind_of(group, kind)
    if known is not None and not known.namespaced:
        yield Key(group, kind, "", name)
        return
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    namespace = namespace or DEFAULT_NAMESPACE
    if not isinstance(namespace, str) or not is_label(namespace):
        raise ConfigError(f"{where}: {namespace!r} is not the name of a namespace.")
    yield Key(group, kind, namespace, name)
