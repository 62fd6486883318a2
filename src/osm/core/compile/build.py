"""The whole compiler: one snapshot in, one model out."""

from osm.core.compile.kubernetes import compile_services, compile_workloads, meshed_namespaces
from osm.core.compile.openservicemesh import compile_settings
from osm.core.compile.options import CompileOptions
from osm.core.compile.smi import compile_access, compile_splits
from osm.core.compile.snapshot import Snapshot
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.route import Backend, Route, RouteRule


def compile_model(snapshot: Snapshot, options: CompileOptions) -> Model:
    """What the snapshot means. The same objects give the same model, in whatever order they came."""
    settings, setting_findings = compile_settings(snapshot, options)
    namespaces = meshed_namespaces(snapshot, options)
    workloads = compile_workloads(snapshot, namespaces, settings.trust_domain)
    services = compile_services(snapshot, namespaces, workloads)
    splits, split_findings = compile_splits(snapshot, namespaces, services.ports)
    access, access_findings = compile_access(snapshot, namespaces, settings.trust_domain)
    routes = {
        port: splits.get(port)
        or Route(
            port,
            (
                RouteRule(
                    (Backend(port),), Origin("Service", port.service.namespace, port.service.name)
                ),
            ),
        )
        for port in services.ports
    }
    return Model(
        settings=settings,
        workloads=workloads,
        services=services.ports,
        routes=routes,
        endpoints=services.endpoints,
        services_of=services.of_workload,
        access=access,
        findings=tuple(
            sorted({*setting_findings, *services.findings, *split_findings, *access_findings})
        ),
    )
