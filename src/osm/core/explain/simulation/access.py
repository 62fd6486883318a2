"""RBAC: whether a filter lets a request or a connection through."""

from osm._envoy.envoy.config.rbac.v3 import rbac_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from osm._envoy.envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from osm.core.explain.simulation.answer import NotSimulated
from osm.core.explain.simulation.matchers import Seen, decide, in_range
from osm.core.explain.simulation.unpack import unpacked


def refusal(rbac: http_rbac_pb2.RBAC | network_rbac_pb2.RBAC, seen: Seen) -> str:
    """Why it does not pass; empty when it does. A filter without rules lets everything pass."""
    if rbac.HasField("matcher"):
        action = decide(rbac.matcher, seen)
        if action is None:
            return "no matcher fits"
        decision = unpacked(action.typed_config, rbac_pb2.Action)
        if decision.action == rbac_pb2.RBAC.ALLOW:
            return ""
        if decision.action == rbac_pb2.RBAC.DENY:
            return decision.name
        raise NotSimulated("the simulation knows actions that allow and that deny, and no other")
    if isinstance(rbac, http_rbac_pb2.RBAC) and rbac.HasField("rules"):
        return _by_policies(rbac.rules, seen)
    return ""


def _by_policies(rules: rbac_pb2.RBAC, seen: Seen) -> str:
    if rules.action != rbac_pb2.RBAC.ALLOW:
        raise NotSimulated("the simulation knows policies that allow, and no other")
    for policy in rules.policies.values():
        if any(principal.any for principal in policy.principals) and any(
            _permits(permission, seen) for permission in policy.permissions
        ):
            return ""
    return "no policy fits"


def _permits(permission: rbac_pb2.Permission, seen: Seen) -> bool:
    match permission.WhichOneof("rule"):
        case "any":
            return permission.any
        case "or_rules":
            return any(_permits(each, seen) for each in permission.or_rules.rules)
        case "destination_ip":
            place = permission.destination_ip
            return in_range(seen.connection.ip, place.address_prefix, place.prefix_len.value)
    raise NotSimulated("the simulation does not know this permission")
