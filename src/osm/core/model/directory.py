"""Finding things in a model by the names that applications and people use."""

from osm.core.model.alias import Alias
from osm.core.model.recorded import AnyModel
from osm.core.model.service import HTTP_PORT, PortName, ServiceName, ServicePort
from osm.core.model.workload import Workload

_SUFFIXES = ("svc.cluster.local", "svc.cluster", "svc")


class Directory:
    """Look-ups of service ports by authority, address and cluster, and of workloads by name."""

    def __init__(self, model: AnyModel) -> None:
        self._model = model

    def by_authority(self, authority: str, port: int, namespace: str) -> ServicePort | None:
        """The service port that an authority names, as an application in `namespace` writes it.

        `port` is the connection's destination port, or 0 when only the authority can tell (then 80).
        Service names follow Kubernetes' DNS; an address is taken as well.
        """
        found = self.called(authority, port, namespace)
        return found[1] if found else None

    def called(
        self, authority: str, port: int, namespace: str
    ) -> tuple[ServiceName, ServicePort] | None:
        """As `by_authority`, and the name that is written: another one than the port's for an alias."""
        host, colon, number = authority.lower().rpartition(":")
        if not colon:
            host, number = authority.lower(), ""
        if number and not _is_number(number):
            return None
        if port and number and int(number) != port:
            return None
        wanted = port or int(number or HTTP_PORT)
        host = host.removesuffix(".")
        for service in service_names(host, namespace):
            found = self._model.services.get(PortName(service, wanted))
            if found is not None:
                return service, found
            alias = self._model.aliases.get(service)
            if alias is not None and alias.service is not None:
                found = self._model.services.get(PortName(alias.service, wanted))
                if found is not None:
                    return service, found
        found = self._first(self._model.by_address.get((host, wanted), ()))
        return (found.name.service, found) if found else None

    def alias(self, host: str, namespace: str) -> Alias | None:
        """The alias that a host names, as an application in `namespace` writes it."""
        written = host.lower().removesuffix(".")
        found = (self._model.aliases.get(name) for name in service_names(written, namespace))
        return next((alias for alias in found if alias is not None), None)

    def host_beyond(self, host: str, namespace: str) -> str:
        """The host beyond the mesh that is meant: where an alias leads, else what is written."""
        alias = self.alias(host, namespace)
        return alias.host if alias is not None and alias.host else host

    def tcp_by_address(self, address: str) -> ServicePort | None:
        """The TCP service port at `<ip>:<port>`."""
        ip, _, number = address.rpartition(":")
        if not _is_number(number):
            return None
        names = self._model.by_address.get((ip, int(number)), ())
        found = (self._model.services[name] for name in names)
        return next((port for port in found if not port.protocol.is_http), None)

    def by_cluster(self, name: str) -> ServicePort | None:
        """The service port that a cluster is named after; the first of several."""
        return self._first(self._model.by_cluster.get(name, ()))

    def _first(self, names: tuple[PortName, ...]) -> ServicePort | None:
        return self._model.services[names[0]] if names else None

    def workloads(self, name: str) -> tuple[Workload, ...]:
        """Workloads of `[namespace/]name`: a workload's own name, its owner's, or its account's."""
        namespace, _, short = name.rpartition("/")
        here = [
            w for w in self._model.workloads.values() if not namespace or w.namespace == namespace
        ]
        for chosen in (
            [w for w in here if w.name == short],
            [w for w in here if w.owner_name == short],
            [w for w in here if w.identity.service_account == short],
        ):
            if chosen:
                return tuple(sorted(chosen))
        return ()


def short_spellings(service: ServiceName, namespace: str) -> list[str]:
    """How applications in `namespace` may write a service, if no other is meant by it
    (`Directory.by_authority` decides): `a.b` may be a pod's stable name.
    """
    whole = _with_namespace(service)
    return [service.host, whole] if service.namespace == namespace else [whole]


def whole_spellings(service: ServiceName) -> list[str]:
    """How everybody may write a service, and mean no other."""
    whole = _with_namespace(service)
    return [*(f"{whole}.{suffix}" for suffix in _SUFFIXES), f"{whole}.{_SUFFIXES[0]}."]


def spellings(service: ServiceName, namespace: str) -> list[str]:
    """All of them."""
    return [*short_spellings(service, namespace), *whole_spellings(service)]


def _with_namespace(service: ServiceName) -> str:
    return f"{service.host}.{service.namespace}"


def service_names(host: str, namespace: str) -> list[ServiceName]:
    """What a host may mean: `svc`, `svc.ns`, with `.svc`, `.svc.cluster` or `.svc.cluster.local`, and
    the same with a pod's stable name in front.
    """
    if "." not in host:
        return [ServiceName(namespace, host)]
    is_whole = False
    for suffix in _SUFFIXES:
        bare = host.removesuffix("." + suffix)
        # A name alone is not of a suffix: `a.svc` is service a of a namespace called svc.
        if bare != host and "." in bare:
            host, is_whole = bare, True
            break
    match host.split("."):
        case [first, second] if is_whole:
            return [ServiceName(second, first)]
        case [first, second]:
            # DNS looks in the caller's own namespace first: there it is a pod of a service.
            return [ServiceName(namespace, second, first), ServiceName(second, first)]
        case [pod, service, space]:
            return [ServiceName(space, service, pod)]
    return []


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5
