"""Manifests of the servers that proxies ask: a rate limit service with its database, and OPA."""

import json
from pathlib import Path
from typing import Any

from tests.servers.programs import opa_program, rate_limit_program

Containers = list[dict[str, Any]]
HERE = Path(__file__).parent
LIMITER, LIMITER_PORT = "ratelimiter.rls.svc.cluster.local", 8081
AUTHORIZER, AUTHORIZER_PORT = "opa.opa.svc.cluster.local", 9191
OPA_PORT = 8181


def rate_limit_service(directory: Path, rules: dict[str, Any], *, replicas: int = 1) -> str:
    """Envoy's own rate limit service with Valkey in one pod; `rules` is its configuration."""
    program = rate_limit_program()
    config = directory / "limits" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "rules.yaml").write_text(json.dumps(rules))
    variables = {
        "RUNTIME_ROOT": str(directory),
        "RUNTIME_SUBDIRECTORY": "limits",
        "RUNTIME_WATCH_ROOT": "false",
        "USE_STATSD": "false",
        "LOG_LEVEL": "error",
        "REDIS_SOCKET_TYPE": "tcp",
        "REDIS_URL": "127.0.0.1:6379",
        "GRPC_PORT": str(LIMITER_PORT),
        "PORT": "8080",
    }
    containers: Containers = [
        {"name": "database", "command": ["python", "-m", "osm.demo.database"]},
        {
            "name": "limits",
            "command": [str(program)],
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "readinessProbe": {
                "httpGet": {"path": "/healthcheck", "port": 8080},
                "periodSeconds": 1,
            },
        },
    ]
    return _application("rls", "ratelimiter", containers, LIMITER_PORT, replicas)


def opa(directory: Path, policy: str, *, replicas: int = 1) -> str:
    """OPA with a policy, and the adapter that speaks Envoy's API, in one pod."""
    program = opa_program()
    (directory / "policy.rego").write_text(policy)
    address = f"127.0.0.1:{OPA_PORT}"
    containers: Containers = [
        {
            "name": "opa",
            "command": [
                *(str(program), "run", "--server", "--disable-telemetry", "--log-level=error"),
                *("--addr", address, str(directory / "policy.rego")),
            ],
            "readinessProbe": {
                "httpGet": {"path": "/health", "port": OPA_PORT},
                "periodSeconds": 1,
            },
        },
        {
            "name": "adapter",
            "command": [
                *("python", str(HERE / "opa_adapter.py"), str(AUTHORIZER_PORT)),
                f"http://{address}/v1/data/envoy/authz/allow",
            ],
            "readinessProbe": {"tcpSocket": {"port": AUTHORIZER_PORT}, "periodSeconds": 1},
        },
    ]
    return _application("opa", "opa", containers, AUTHORIZER_PORT, replicas)


def _application(
    namespace: str, name: str, containers: Containers, port: int, replicas: int
) -> str:
    labels = {"app": name}
    documents: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(namespace, name)},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": _meta(namespace, name),
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": name,
                        "terminationGracePeriodSeconds": 1,
                        "containers": containers,
                    },
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _meta(namespace, name),
            "spec": {
                "selector": labels,
                "ports": [{"name": "grpc", "port": port, "appProtocol": "grpc"}],
            },
        },
    ]
    return "\n---\n".join(map(json.dumps, documents))


def _meta(namespace: str, name: str) -> dict[str, str]:
    return {"name": name, "namespace": namespace}
