"""What proxies themselves may ask of a workload."""

from osm.core.model.access import AccessRule
from osm.core.model.recorded import AnyModel
from osm.core.model.workload import Workload


def rules_for_proxies(model: AnyModel, workload: Workload, port: int) -> tuple[AccessRule, ...]:
    """The access rules that follow from objects which name a service of the workload as a server that
    proxies ask, for one of its target ports.
    """
    names = model.services_of.get((workload.namespace, workload.name), ())
    return tuple(
        rule
        for name in names
        for rule in model.asked.get(name, ())
        if port in rule.ports and rule.destination == workload.identity
    )
