"""Environment variables as Kubernetes has them: order, `$(NAME)`, the pod's fields, services."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from osm.core.api.kubernetes import EnvVar, Pod, Service

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_KEYED_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")

_FIELDS: Mapping[str, Callable[[Pod], str]] = {
    "metadata.name": lambda pod: pod.metadata.name,
    "metadata.namespace": lambda pod: pod.metadata.namespace,
    "metadata.uid": lambda pod: pod.metadata.uid,
    "spec.serviceAccountName": lambda pod: pod.spec.service_account_name,
    "spec.nodeName": lambda _: "localhost",
    "status.podIP": lambda pod: pod.status.pod_ip,
    "status.podIPs": lambda pod: pod.status.pod_ip,
    "status.hostIP": lambda _: "127.0.0.1",
}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)`. Unknown names stay as they are, and `$$` stands for one `$`."""

    def replace(found: re.Match[str]) -> str:
        name: str | None = found[1]
        return "$" if name is None else variables.get(name, found[0])

    return _REFERENCE.sub(replace, text)


def resolve(declared: Iterable[EnvVar], given: Mapping[str, str], pod: Pod) -> dict[str, str]:
    """The variables of a container: those given by the platform, then those that it declares.

    A source that does not exist here (a ConfigMap, a Secret) leaves its variable out.
    """
    variables = dict(given)
    for variable in declared:
        if variable.value_from is None:
            variables[variable.name] = expand(variable.value, variables)
        elif (reference := variable.value_from.field_ref) is not None:
            value = field(pod, reference.field_path)
            if value is not None:
                variables[variable.name] = value
    return variables


def field(pod: Pod, path: str) -> str | None:
    """A field of the pod itself (downward API); None when it is not one that is offered."""
    if path in _FIELDS:
        return _FIELDS[path](pod)
    keyed = _KEYED_FIELD.fullmatch(path)
    if keyed is None:
        return None
    values = pod.metadata.labels if keyed[1] == "labels" else pod.metadata.annotations
    return values.get(keyed[2], "")


def of_services(services: Sequence[Service], namespace: str) -> dict[str, str]:
    """`<SERVICE>_SERVICE_HOST` and `…_PORT` of each service of the namespace with an address."""
    variables: dict[str, str] = {}
    for service in services:
        address = service.spec.cluster_ip
        if service.metadata.namespace != namespace or address in ("", "None"):
            continue
        prefix = prefix_of(service.metadata.name)
        variables[f"{prefix}_HOST"] = address
        for index, port in enumerate(service.spec.ports):
            if index == 0:
                variables[f"{prefix}_PORT"] = str(port.port)
            if port.name:
                variables[f"{prefix}_PORT_{_upper(port.name)}"] = str(port.port)
    return variables


def prefix_of(service: str) -> str:
    """The beginning of a service's variables, for instance `BOOKSTORE_V1_SERVICE`."""
    return f"{_upper(service)}_SERVICE"


def _upper(name: str) -> str:
    return name.upper().replace("-", "_").replace(".", "_")
