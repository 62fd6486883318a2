"""Takes away headers by which the mesh's proxies talk, when a caller sends them.

An application, or a log, would take them for a proxy's own words. What says who calls
(`x-forwarded-client-cert`) is replaced by the connection manager itself.
"""

from osm._envoy.envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from osm._envoy.envoy.config.core.v3 import extension_pb2
from osm._envoy.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    header_mutation_pb2,
)
from osm._envoy.envoy.type.matcher.v3 import string_pb2
from osm.core.model.request import INTERNAL_HEADERS


def internal_headers() -> extension_pb2.TypedExtensionConfig:
    """Mutate headers before everything that looks at them; half the cost of a filter (measured)."""
    config = header_mutation_pb2.HeaderMutation()
    for prefix in INTERNAL_HEADERS:
        removal = mutation_rules_pb2.HeaderMutation.RemoveOnMatch(
            key_matcher=string_pb2.StringMatcher(prefix=prefix)
        )
        config.mutations.add(remove_on_match=removal)
    out = extension_pb2.TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation"
    )
    out.typed_config.Pack(config, deterministic=True)
    return out
