"""Who calls whom while a mesh is taken over: two namespaces, servers and callers, and what is allowed.

| namespace | pods | account | may |
|---|---|---|---|
| `server` | `server` | `server` | |
| `client` | `caller` | `caller` | GET `/` of `web`, and call `wire` by TCP |
| `client` | `visitor` | `visitor` | GET `/public` of `web` |
| `client` | `stranger` | `stranger` | nothing |

Of each caller there is a Deployment, which gets new pods, and a pod `old-…`, which nobody makes anew. Pods
`old-http`, `old-wire`, `new-http` and `new-wire` send steadily, as `caller`.

`wire` leads to a program that speaks HTTP too, and is a TCP service to the mesh: so the same requests,
each on a connection of its own, count connections through TCP proxies.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.cluster.cast import HTTP, Document, account, puppet
from tests.kubernetes.images import APPS

CLIENT, SERVER = "client", "server"
CALLERS = ("caller", "visitor", "stranger")
WIRE_PORT, WIRE = 9000, 8001
"""Of the Service, and of its pods."""
WEB_HOST, WIRE_HOST = f"web.{SERVER}", f"wire.{SERVER}"
URLS = {"http": f"http://{WEB_HOST}/", "wire": f"http://{WIRE_HOST}:{WIRE_PORT}/"}
_SPECS, _ACCESS = "specs.smi-spec.io/v1alpha4", "access.smi-spec.io/v1alpha3"


def namespace(name: str) -> Document:
    """As OSM's `osm namespace add` left it."""
    metadata = {
        "name": name,
        "labels": {"openservicemesh.io/monitored-by": "osm"},
        "annotations": {"openservicemesh.io/sidecar-injection": "enabled"},
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def servers() -> Sequence[Document]:
    """What is in the namespace of the servers."""
    programs = [_program("app", HTTP), _program("wire", WIRE)]
    deployment = puppet("server", serviceAccountName="server", containers=programs)
    # New pods are there before old ones end.
    strategy = {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}
    spec = {**deployment["spec"], "replicas": 2, "strategy": strategy}
    return (
        account("server"),
        {**deployment, "spec": spec},
        _service("web", 80, HTTP, "http"),
        _service("wire", WIRE_PORT, WIRE, "tcp"),
        *_policies(),
    )


def clients() -> Sequence[Document]:
    """What is in the namespace of the callers, but for the load."""
    programs = [_program("app", HTTP)]
    deployments = [puppet(n, serviceAccountName=n, containers=programs) for n in CALLERS]
    return (*map(account, CALLERS), *deployments, *map(_bare, deployments))


def load_pod(age: str, kind: str, rate: float) -> Document:
    """A pod that sends steadily until it is deleted: `kind` is one of `URLS`."""
    container = {
        "name": "load",
        "image": APPS,
        "command": ["python", "-m", "steady_load", URLS[kind], str(rate)],
    }
    spec = {
        "serviceAccountName": "caller",
        "terminationGracePeriodSeconds": 2,
        "containers": [container],
    }
    return _pod(f"{age}-{kind}", spec)


def _bare(deployment: Document) -> Document:
    """A pod as the Deployment makes them, that belongs to nothing."""
    return _pod(f"old-{deployment['metadata']['name']}", deployment["spec"]["template"]["spec"])


def _pod(name: str, spec: object) -> Document:
    metadata = {"name": name, "labels": {"pod": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _program(name: str, port: int) -> Mapping[str, Any]:
    return {
        "name": name,
        "image": APPS,
        "command": ["python", "-m", "osm.testing.puppet", str(port)],
        "readinessProbe": {
            "httpGet": {"path": "/", "port": port},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
    }


def _service(name: str, port: int, target: int, protocol: str) -> Document:
    ports = [{"name": protocol, "port": port, "targetPort": target, "appProtocol": protocol}]
    spec = {"selector": {"app": "server"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _policies() -> Sequence[Document]:
    matches = (
        # No two fit one request: to OSM, the first that fits decides.
        {"name": "root", "pathRegex": "/", "methods": ["GET"]},
        {"name": "public", "pathRegex": "/public", "methods": ["GET"]},
    )
    group = {
        "apiVersion": _SPECS,
        "kind": "HTTPRouteGroup",
        "metadata": {"name": "routes"},
        "spec": {"matches": matches},
    }
    wire = {
        "apiVersion": _SPECS,
        "kind": "TCPRoute",
        "metadata": {"name": "wire"},
        "spec": {"matches": {"ports": [WIRE]}},
    }
    by_http = {"kind": "HTTPRouteGroup", "name": "routes"}
    return (
        group,
        wire,
        _target("caller", "http", {**by_http, "matches": ["root"]}),
        _target("caller", "tcp", {"kind": "TCPRoute", "name": "wire"}),
        _target("visitor", "http", {**by_http, "matches": ["public"]}),
    )


def _target(caller: str, what: str, rule: Document) -> Document:
    """One for each protocol: to OSM, the ports of a TCPRoute bound the HTTP rules beside it, too."""
    return {
        "apiVersion": _ACCESS,
        "kind": "TrafficTarget",
        "metadata": {"name": f"{caller}-{what}"},
        "spec": {
            "destination": {"kind": "ServiceAccount", "name": "server", "namespace": SERVER},
            "sources": [{"kind": "ServiceAccount", "name": caller, "namespace": CLIENT}],
            "rules": [rule],
        },
    }
