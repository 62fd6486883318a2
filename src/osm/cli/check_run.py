"""Gathers facts for `osm check`, by the API server and by the mesh's own API, and makes the checks."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osm.cli.cluster_options import on_cluster
from osm.cli.command import Invocation
from osm.core.check.facts import Facts, Unseen
from osm.core.check.outcome import Result
from osm.core.check.run import run_checks
from osm.core.install.names import Installation
from osm.errors import OsmError

if TYPE_CHECKING:
    from osm.kubernetes.api_server import ApiServer


class Asked(msgspec.Struct, frozen=True):
    """Which cluster and which mesh; `before` an installation, or of one that is there."""

    kubeconfig: Path | None
    context: str | None
    mesh: str
    namespace: str
    before: bool


def check(asked: Asked) -> tuple[Result, ...]:
    """Make the checks once. Raises `OsmError` when there is no way to a cluster."""

    async def gather(server: "ApiServer") -> Facts:
        from osm.kubernetes.check_facts import gather_facts  # noqa: PLC0415 - needs the extra

        here = Installation(asked.mesh, asked.namespace)
        return await gather_facts(server, here, before=asked.before, now=datetime.now(UTC))

    facts = on_cluster(asked.kubeconfig, asked.context, gather)
    if isinstance(facts.proxies, tuple) and facts.proxies:
        facts = msgspec.structs.replace(facts, disconnected=_disconnected(asked, facts))
    return run_checks(facts, before=asked.before)


def _disconnected(asked: Asked, facts: Facts) -> tuple[str, ...] | Unseen:
    """Pods with a proxy that the control plane does not see."""
    from osm.cli.cluster_client import connect_to_cluster  # noqa: PLC0415 - needs the extra

    told = Invocation()
    told.kubeconfig, told.context = asked.kubeconfig, asked.context
    told.osm_namespace, told.names_cluster = asked.namespace, True
    try:
        with connect_to_cluster(asked.mesh, told) as client:
            view = client.view()
    except OsmError as error:
        return Unseen(error.message)
    connected = {(each.namespace, each.name) for each in view.proxies if each.connected}
    assert isinstance(facts.proxies, tuple)
    return tuple(
        f"{each.namespace}/{each.pod}"
        for each in facts.proxies
        if each.image and (each.namespace, each.pod) not in connected
    )
