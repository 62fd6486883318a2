"""A cluster and a mesh in which all is well, to be spoiled fact by fact."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from osm.core.check.facts import (
    Certificate,
    ControlPlane,
    Definition,
    Facts,
    Lease,
    MeshNamespace,
    Node,
    Permission,
    Pod,
    Proxy,
    Trial,
    WantedDefinition,
    Webhook,
)
from osm.core.check.outcome import Result
from osm.core.check.run import run_checks
from osm.core.install.names import Installation

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE = Installation()
ROOT = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
NODE = Node("n1", "v1.35.4", "linux", "amd64", "6.1.0-13-amd64", ready=True)
PLANE = ControlPlane(HERE, "2.0.0", single=True, why_unready="")
ROOT_CERTIFICATE = Certificate(
    "CN=osm-ca", NOW - timedelta(days=1), NOW + timedelta(days=3650), ROOT
)
WEBHOOKS = (
    Webhook("osm-webhook-osm", "osm-system/osm-injector", ROOT, 2),
    Webhook("osm-validator-mesh-osm", "osm-system/osm-validator", ROOT, 2),
)

WELL = Facts(
    now=NOW,
    client_version="2.0.1",
    installation=HERE,
    server="v1.35.4",
    permissions=(Permission("create", "deployments.apps", "osm-system", allowed=True),),
    nodes=(NODE,),
    planes=(PLANE,),
    wanted_definitions=(WantedDefinition("egresses.x", ("v1",), ("v1",)),),
    definitions=(Definition("egresses.x", "", ("v1",), ("v1",)),),
    pods=(Pod("c-1", "", 0, "n1"), Pod("c-2", "", 0, "n2")),
    services=("osm-controller", "osm-injector", "osm-validator"),
    webhooks=WEBHOOKS,
    root=ROOT_CERTIFICATE,
    lease=Lease("c-1", NOW - timedelta(seconds=3), 15),
    namespaces=(MeshNamespace("shop", "enabled", "", ignored=False),),
    trial=Trial("shop", "", injected=True),
    proxies=(Proxy("shop", "cart-1", "envoy:1", ""),),
)
EMPTY = msgspec.structs.replace(WELL, planes=())
"""The same cluster before an installation."""


def facts(base: Facts = WELL, **changed: Any) -> Facts:
    return msgspec.structs.replace(base, **changed)


def result(name: str, looked_at: Facts, *, before: bool = False) -> Result:
    """What one check comes to."""
    return next(each for each in run_checks(looked_at, before=before) if each.check == name)
