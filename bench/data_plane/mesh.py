"""Our pair: a real control plane with an access rule, and the bootstraps that `osm` makes."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.data_plane.minimal import Plan
from bench.data_plane.processes import Processes, output_of, wait_until

_MESH = "bench-data-plane"


async def our_pair(plan: Plan, processes: Processes) -> list[tuple[str, ...]]:
    """Start a controller for two workloads; gives the arguments of the client's and the server's Envoy.

    Raises `RuntimeError`.
    """
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(plan.directory / "state"),
        "XDG_RUNTIME_DIR": str(plan.directory / "run"),
    }
    (plan.directory / "run").mkdir(mode=0o700)
    objects = plan.directory / "objects"
    objects.mkdir()
    documents = _documents(plan)
    (objects / "all.yaml").write_text("\n---\n".join(json.dumps(each) for each in documents))
    socket = plan.directory / "ads.sock"
    ads = f"unix:{socket}"
    controller = await processes.start(
        f"{plan.directory.name}.controller",
        [sys.executable, "-m", "osm", "controller", str(objects), "--ads", ads, "--mesh", _MESH],
        environment,
    )
    await wait_until(
        lambda: socket.exists() or controller.returncode is not None,
        "the controller listens",
        within=20,
    )
    if controller.returncode is not None:
        raise RuntimeError(f"the controller ended: {processes.said(plan.directory.name)}")
    return await asyncio.gather(
        *(_bootstrap(name, ads, plan.directory / name, environment) for name in ("buyer", "shop"))
    )


async def _bootstrap(
    name: str, ads: str, directory: Path, environment: Mapping[str, str]
) -> tuple[str, ...]:
    printed = await output_of(
        [
            *(sys.executable, "-m", "osm", "proxy", "bootstrap", f"{name}/{name}-0"),
            *("--service-account", name, "--ads", ads, "--directory", str(directory)),
            *("--mesh", _MESH),
        ],
        environment,
    )
    return tuple(printed.split())


def _documents(plan: Plan) -> list[dict[str, object]]:
    ip, port = plan.listen
    application_ip, application_port = plan.application
    capture = {"ip": ip, "http_port": port}
    return [
        _pod("buyer", plan.directory / "buyer", capture, ip),
        _pod("shop", plan.directory / "shop", capture | {"ip": "127.92.255.1"}, application_ip),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {
                "selector": {"app": "shop"},
                "ports": [{"port": 80, "targetPort": application_port, "appProtocol": "http"}],
            },
        },
        {
            "apiVersion": "specs.smi-spec.io/v1alpha4",
            "kind": "HTTPRouteGroup",
            "metadata": {"name": "echo", "namespace": "shop"},
            "spec": {
                "matches": [{"name": "echo", "pathRegex": "/echo(/.*)?", "methods": ["POST"]}]
            },
        },
        {
            "apiVersion": "access.smi-spec.io/v1alpha3",
            "kind": "TrafficTarget",
            "metadata": {"name": "buyers", "namespace": "shop"},
            "spec": {
                "destination": {"kind": "ServiceAccount", "name": "shop", "namespace": "shop"},
                "rules": [{"kind": "HTTPRouteGroup", "name": "echo", "matches": ["echo"]}],
                "sources": [{"kind": "ServiceAccount", "name": "buyer", "namespace": "buyer"}],
            },
        },
    ]


def _pod(name: str, directory: Path, capture: object, ip: str) -> dict[str, object]:
    local = "local.openservicemesh.io"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-0",
            "namespace": name,
            "labels": {"app": name},
            "annotations": {
                f"{local}/inbound-address": f"unix:{directory}/in.{{port}}.sock",
                f"{local}/capture": json.dumps(capture),
                f"{local}/app-ip": ip,
            },
        },
        "spec": {"serviceAccountName": name, "containers": [{"name": "app"}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
