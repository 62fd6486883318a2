"""Access rules: which identities may do what to a workload. What no rule allows is denied.

Rules apply to all workloads of one identity (DESIGN §4). They only ever allow; so an object that
cannot be represented is left out, and grants nothing.
"""

import msgspec

from osm.core.model.identity import Identity
from osm.core.model.origin import Origin
from osm.core.model.route import HttpMatch


class AccessRule(msgspec.Struct, frozen=True, gc=False):
    """`sources` may send what `http` says, or open TCP connections, to `ports` of `destination`.

    `http` is None for a TCP rule. `ports` are target ports; empty means every port of that kind:
    HTTP service ports for an HTTP rule, TCP service ports for a TCP rule.
    """

    destination: Identity
    sources: tuple[Identity, ...]
    origin: Origin
    http: HttpMatch | None = None
    ports: tuple[int, ...] = ()
    match_origin: Origin | None = None
    """Where `http` or `ports` are written, when that is another object than `origin`."""
    anyone: bool = False
    """Every identity of the mesh is a source."""

    def admits(self, source: Identity) -> bool:
        """Whether it is for a source."""
        return self.anyone or source in self.sources

    @property
    def name(self) -> str:
        """How logs, deny answers and Envoy's metadata name the rule: its origin, without spaces."""
        return "/".join(
            part
            for part in (
                self.origin.kind,
                self.origin.namespace,
                self.origin.name,
                self.origin.field,
            )
            if part
        )
