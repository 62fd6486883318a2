"""The few protocols between the core and the world. Each adapter implements one of them.

The control plane (`osm.runtime`) is given these and knows no other side: the local platform and
Kubernetes are two sets of adapters.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from osm.core.api.manifest import Key, Manifest
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.refusal import Refusal
from osm.core.explain.view import MeshView
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.origin import Finding


class Change(msgspec.Struct, frozen=True):
    """Objects that appeared or changed, objects that went, and what is wrong with the rest.

    `findings` is the complete list of the source's present mistakes, not a difference.
    """

    applied: tuple[Manifest, ...] = ()
    deleted: tuple[Key, ...] = ()
    findings: tuple[Finding, ...] = ()


class Source(Protocol):
    """Where objects come from: a directory of YAML files, or an API server."""

    def watch(self) -> AsyncIterator[Change]:
        """First everything that there is, then each change. Bad objects keep their last good form."""
        ...


class KeyPair(msgspec.Struct, frozen=True):
    """A certificate chain and its private key, PEM. The key never appears in a repr."""

    certificate: bytes
    private_key: bytes
    not_before: datetime
    not_after: datetime

    def __repr__(self) -> str:
        return f"KeyPair(not_after={self.not_after.isoformat()})"


class Unproven(msgspec.Struct, frozen=True, gc=False):
    """Why a client is nobody. `reason` is short and fixed, so that a metric can count by it; `text` is
    for people. `later`: nothing was wrong with what it showed, and it may show it again.
    """

    reason: str
    text: str
    later: bool = False


class Issuer(Protocol):
    """Signs certificates: Tresor, Vault, cert-manager."""

    leaf_validity: timedelta
    """How long certificates of workloads are valid that are issued from now on."""

    async def issue(self, who: Identity | ProxyIdentity) -> KeyPair:
        """A new key and certificate for a workload's identity, or a proxy's bootstrap certificate."""
        ...

    async def issue_server(self, dns_name: str) -> KeyPair:
        """A certificate for a server of the control plane."""
        ...

    @property
    def trust_bundle(self) -> bytes:
        """The root certificates to trust, PEM."""
        ...


class Clock(Protocol):
    """Time, so that tests own it."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class AppliedObject(msgspec.Struct, frozen=True):
    """What became of one object that somebody applied or deleted.

    `action` is `created`, `configured`, `unchanged` or `deleted`.
    """

    key: Key
    action: str
    where: str = ""


class LogLine(msgspec.Struct, frozen=True):
    """A line that a workload's program (`container`) or its proxy (`envoy`) printed."""

    time: str
    namespace: str
    workload: str
    container: str
    text: str
    error: bool = False


class ExpectedResource(msgspec.Struct, frozen=True):
    """A resource as a proxy should run it. What is secret in it is replaced by a word.

    `type` is a short name such as `CDS`; `config` has Envoy's own names of fields.
    """

    type: str
    name: str
    version: str
    config: Mapping[str, Any]


class MeshApi(Protocol):
    """What a person or program can ask of a running mesh. Served by `osm.dashboard`."""

    def view(self) -> MeshView: ...

    def findings(self) -> Sequence[Finding]: ...

    def objects(self) -> Sequence[Manifest]: ...

    async def apply(self, text: str, *, dry_run: bool = False) -> Sequence[AppliedObject]:
        """Raises `InvalidObjects` with every finding, and then changes nothing."""
        ...

    async def delete(self, keys: Sequence[Key]) -> Sequence[AppliedObject]: ...

    def explain(self, question: Question) -> Explanation: ...

    def explain_refusal(self, refusal: Refusal) -> Explanation:
        """Why something was refused, and whether it would be now."""
        ...

    async def proxy_admin(self, proxy: str, path: str) -> bytes:
        """The answer of a proxy's admin interface to GET `path`. `proxy` is `[ns/]workload`."""
        ...

    def proxy_expected(self, proxy: str) -> Sequence[ExpectedResource]:
        """What a proxy should run: the present form of what it holds. Raises `PlatformError` for one
        that is not connected.
        """
        ...

    def logs(self, workload: str, *, tail: int, follow: bool) -> AsyncIterator[LogLine]: ...

    async def shutdown(self) -> None: ...
