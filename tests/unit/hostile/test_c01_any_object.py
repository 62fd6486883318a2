"""C1: objects made up from the schemas, right and wrong, on a mesh that works.

That none of 10,000 of each kind makes the decoder fail is `tests/unit/api/test_any_object.py`'s. Here
is what the mesh makes of them: a bad object changes nobody else's configuration by a byte, and Envoy
takes whatever comes out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from tests.unit.envoy.asking import Named, all_values, catalog_of, rendered
from tests.unit.envoy.static import StaticEnvoy
from tests.unit.hostile.village import BYSTANDER, MADE_UP, VILLAGE, made_up

from osm.core.api import crd
from osm.core.api.decode import decode
from osm.core.api.manifest import Manifest
from osm.core.api.registry import Kind
from osm.core.compile.build import Compiler
from osm.core.envoy.catalog import Value
from osm.core.model.identity import ProxyIdentity
from osm.core.model.mesh import Model
from osm.testing.builders import LOCAL

KINDS = crd.defined_kinds()
ACTING = tuple(kind for kind in KINDS if kind.acts)
OBJECTS = 10_000
AT_ONCE = 200
VALIDATED = 500

T = TypeVar("T")
Place = tuple[ProxyIdentity, Named]
OTHERS = re.compile(r"default|shop|10\.[13]\.")
EFFECTIVE = {*Model.__struct_fields__} - {"findings"}
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def bystanders(wire: Mapping[Place, T]) -> dict[Place, T]:
    """What the proxies of a namespace have that nobody makes up anything for.

    What they would get for a service of another namespace is that service's configuration.
    """
    return {
        (proxy, (type_url, name)): value
        for (proxy, (type_url, name)), value in wire.items()
        if proxy.identity.namespace == BYSTANDER and not OTHERS.search(name)
    }


def assert_as_before(
    after: Mapping[Place, object], before: Mapping[Place, object], culprits: Iterable[Manifest]
) -> None:
    """Names that appear are nobody's until he asks for them; what was there is as it was."""
    changed = sorted(str(key) for key, value in before.items() if after.get(key) != value)
    assert changed == [], [manifest.raw for manifest in culprits]


@each_kind
def test_objects_of_one_namespace_change_no_byte_of_another(kind: Kind) -> None:
    """Thrown at the mesh two hundred at a time, and taken away again."""
    random = Random(kind.kind)
    compiler = Compiler(LOCAL, VILLAGE)
    before = bystanders(rendered(compiler.model))
    assert len({type_url for _, (type_url, _) in before}) >= 8
    taken = 0
    for first in range(0, OBJECTS // len(KINDS) + 1, AT_ONCE):
        documents = [
            made_up(kind, f"made-up-{first + n}", random, wrong=n % 2 == 1) for n in range(AT_ONCE)
        ]
        decoded = [decode(document).manifest for document in documents]
        good = [manifest for manifest in decoded if manifest is not None]
        taken += len(good)
        compiled = compiler.update(applied=good)
        assert compiled.failures == ()
        assert_as_before(bystanders(rendered(compiled.model)), before, good)
        compiler.update(deleted=[manifest.key for manifest in good])
    assert taken > 50, "hardly any object was taken: this test would say nothing"
    assert bystanders(rendered(compiler.model)) == before


def test_whatever_comes_out_envoy_takes(tmp_path: Path) -> None:
    """Each object by itself among the services that it speaks of, and as the mesh's own settings."""
    random = Random(14)
    before = values(Compiler(LOCAL, VILLAGE).model)
    seen = set(before.values())
    found: list[tuple[Model, set[ProxyIdentity]]] = []
    tried = 0
    while tried < VALIDATED:
        kind = random.choice(ACTING)
        name = "osm-mesh-config" if kind.kind == "MeshConfig" else MADE_UP
        manifest = decode(made_up(kind, name, random, wrong=random.random() < 0.2)).manifest
        if manifest is None:
            continue
        tried += 1
        compiled = Compiler(LOCAL, VILLAGE).update(applied=[manifest])
        assert compiled.failures == ()
        if not EFFECTIVE & compiled.changed.keys():
            continue
        after = values(compiled.model)
        if kind.kind != "MeshConfig":
            assert_as_before(bystanders(after), bystanders(before), [manifest])
        # A proxy is shown to Envoy if it has something that no proxy had before.
        proxies = set()
        for (proxy, _), value in after.items():
            if value not in seen:
                seen.add(value)
                proxies.add(proxy)
        found.append((compiled.model, proxies))
    assert sum(1 for _, proxies in found if proxies) > 50, "Envoy would be asked the same again"
    for number, some in enumerate(batches(found, 60)):
        directory = tmp_path / str(number)
        directory.mkdir()
        envoy = StaticEnvoy(directory)
        for model, proxies in some:
            catalog = catalog_of(model)
            for proxy in sorted(proxies):
                envoy.add_proxy(model, catalog, proxy)
        assert envoy.validate() == ""


def values(model: Model) -> dict[Place, Value]:
    """What each proxy can get, before it is rendered: equal values are equal bytes."""
    return {(proxy, named): value for proxy, named, value in all_values(model)}


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
