"""The steps of `osm verify`: each asks a running mesh one thing, and says what it found."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from osm.cli.client import MeshClient
from osm.cli.columns import at, items, word
from osm.cli.difference import Comparison, compare
from osm.cli.proxies import state
from osm.cli.running import CONFIG_DUMP, RUNTIME, read_running
from osm.cli.verbs.proxy.diff import settled
from osm.cli.verification import Verified, unknown, verified
from osm.core.api.membership import is_taken_over
from osm.core.api.mesh_keys import MONITORED_BY
from osm.core.explain.explanation import Question
from osm.core.explain.view import MeshView, ProxyView, WorkloadView
from osm.errors import NotRunningError, OsmError

Raw = dict[str, Any]
HTTP = ("http", "grpc")
_PREFIXES = ("tcp-server-first", "http", "tcp", "grpc")


def full_name(workload: WorkloadView) -> str:
    """Write `namespace/name`."""
    return f"{workload.namespace}/{workload.name}"


def namespace_step(client: MeshClient, namespace: str) -> Verified:
    """Whether a namespace is part of the mesh."""
    context = f'Verify if namespace "{namespace}" is monitored'
    if not client.on_cluster:
        return verified(context)  # the mesh runs nothing else
    found = [o.raw for o in client.objects(kind="Namespace") if o.key.name == namespace]
    labels = (at(found[0], "metadata", "labels") or {}) if found else {}
    if labels.get(MONITORED_BY) == client.mesh or is_taken_over(labels, client.mesh):
        return verified(context)
    problem = f'Namespace "{namespace}" is not monitored by the mesh "{client.mesh}"'
    return verified(context, problem, f"osm namespace add {namespace} --mesh-name {client.mesh}")


def proxy_step(view: MeshView, workload: WorkloadView) -> Verified:
    """Whether a pod has a proxy that is connected and has the newest configuration."""
    name = full_name(workload)
    context = f'Verify Envoy sidecar on pod "{name}"'
    proxy = _proxy_of(view, workload)
    if proxy is None:
        suggestion = "Its namespace was perhaps added later: pods get proxies when they start"
        return verified(context, f'Pod "{name}" has no Envoy sidecar', suggestion)
    if (condition := state(proxy)) != "InSync":
        return verified(
            context, f"The proxy is {condition}", f"See `osm proxy status {name}` for the reason"
        )
    return verified(context)


def config_step(client: MeshClient, view: MeshView, workload: WorkloadView) -> Verified:
    """Whether a proxy runs what it should."""
    name = full_name(workload)
    context = f'Verify Envoy configuration on pod "{name}"'
    if _proxy_of(view, workload) is None:
        return unknown(context, "There is no proxy to look at")
    try:
        comparison = settled(partial(_compare, client, workload))
    except NotRunningError:
        raise
    except OsmError as error:
        return unknown(context, error.message, error.hint)
    if comparison.in_sync:
        return verified(context)
    count = len(comparison.differences)
    problem = f"The proxy does not run what it should: {count} resources differ"
    return verified(context, problem, f"See `osm proxy diff {name}`")


def _compare(client: MeshClient, workload: WorkloadView) -> Comparison:
    where = (workload.namespace, workload.name)
    running = read_running(
        client.proxy_admin(*where, CONFIG_DUMP), client.proxy_admin(*where, RUNTIME)
    )
    return compare(client.proxy_expected(*where), running)


def behind_step(workload: WorkloadView, service: str) -> Verified:
    """Whether a pod stands behind a service, and is ready."""
    name = full_name(workload)
    context = f'Verify if pod "{name}" serves "{service}"'
    if service not in workload.services:
        others = ", ".join(workload.services) or "none"
        return verified(
            context,
            f'Service "{service}" does not select pod "{name}", which stands behind: {others}',
            "Compare the Service's selector with the pod's labels",
        )
    if workload.phase != "ready":
        reason = f": {workload.reason}" if workload.reason else ""
        return verified(
            context, f"The pod is {workload.phase}{reason}", "See `osm logs` and its probes"
        )
    return verified(context)


def request_step(client: MeshClient, question: Question) -> Verified:
    """Whether the policies let a request pass, and it arrives."""
    what = f"{question.method} {question.path} of " if question.method else "TCP to "
    context = f'Verify policies for {what}"{question.destination}" from "{question.source}"'
    try:
        answer = client.explain(question)
    except NotRunningError:
        raise
    except OsmError as error:
        return unknown(context, error.message, error.hint)
    if answer.allowed and answer.verdict == "allowed":
        return verified(context)
    command = f"osm explain {question.source} {question.destination}"
    if question.method:
        command += f" {question.method} {question.path}"
    return verified(
        context, answer.summary, f"See `{command}` for each decision and what allows it"
    )


def service_ports(services: Iterable[Raw], protocol: str) -> Sequence[int]:
    """The ports of a Service that speak a protocol, by `appProtocol` or their names, as in OSM."""
    return [
        int(word(port, "port"))
        for service in services
        for port in items(service, "spec", "ports")
        if _protocol(port) == protocol and word(port, "port").isdecimal()
    ]


def _protocol(port: Raw) -> str:
    said = word(port, "appProtocol").lower()
    name = word(port, "name")
    prefix = next((each for each in _PREFIXES if name.startswith(f"{each}-")), "")
    return said or prefix or "http"


def _proxy_of(view: MeshView, workload: WorkloadView) -> ProxyView | None:
    where = (workload.namespace, workload.name)
    return next((each for each in view.proxies if (each.namespace, each.name) == where), None)
