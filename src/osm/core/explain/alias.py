"""A destination that is another name for something: a Service of type ExternalName."""

import msgspec

from osm.core.explain.explanation import Question, Step
from osm.core.explain.naming import Destination
from osm.core.model.directory import Directory
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.workload import Workload


def through_alias(
    model: Model, question: Question, destination: Destination, source: Workload
) -> Destination:
    """The same destination, and what its name stands for, if it is an alias."""
    host, colon, number = destination.called.partition(":")
    alias = Directory(model).alias(host, source.namespace)
    if alias is None:
        return destination
    passed = tuple(Origin("Service", n.namespace, n.name, "spec.externalName") for n in alias.via)
    meant = alias.host or str(alias.service)
    kind = "host" if alias.host else "service"
    by = f", by {' and '.join(str(name) for name in alias.via)}" if alias.via else ""
    text = f"{host} is another name for the {kind} {meant}{by}; the Host header stays"
    called = destination.called
    if alias.host and question.method:  # who begins TLS asks for the name that is written
        called = f"{alias.host}{colon}{number}"
    steps = (*destination.steps, Step("alias", "ok", text, (alias.origin, *passed)))
    return msgspec.structs.replace(destination, called=called, steps=steps)
