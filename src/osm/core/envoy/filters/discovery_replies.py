"""Explains requests that ended where discovery did: to whom the application speaks is not known.

Envoy's own answers for these are empty. Each of ours names its reason in a header, for programs.
"""

from osm._envoy.envoy.config.accesslog.v3 import accesslog_pb2
from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.filters.extension import text_format

Mapper = http_connection_manager_pb2.ResponseMapper

REASON_HEADER = "x-osm-reason"
UNKNOWN_HOST = "unknown-host"
NO_RULE = "no-rule"
NO_ANSWER = "no-answer-from-the-control-plane"
OTHER_ADDRESS = "address-outside-of-egress"

UNKNOWN_HOST_BODY = (
    "osm: the mesh knows no HTTP service by the name and port of %REQ(:AUTHORITY)%\n"
)
NO_RULE_BODY = (
    "osm: no route of %REQ(:AUTHORITY)% takes the request %REQ(:METHOD)% %PATH(NQ:PATH)%\n"
)
_OTHER_ADDRESS_BODY = (
    "osm: %REQ(:AUTHORITY)% may be called beyond the mesh, but no Egress has the address "
    "%DOWNSTREAM_LOCAL_ADDRESS% among its `ipAddresses`\n"
)
_NO_ANSWER_BODY = (
    "osm: the control plane has not said where %REQ(:AUTHORITY)% is (waited %DURATION% ms). Nothing "
    "was sent there: it is safe to try again.\n"
)

# Envoy's response flags.
_NO_ROUTE = "NR"
_WAITED_FOR_VIRTUAL_HOST = "SI"
_WAITED_FOR_CLUSTER = "NC"


def discovery_replies(*, ranged: bool = False) -> http_connection_manager_pb2.LocalReplyConfig:
    """Answers for names that the mesh does not know, and for a control plane that does not answer;
    with `ranged` also for hosts beyond the mesh at addresses where they must not be called.
    """
    return http_connection_manager_pb2.LocalReplyConfig(
        mappers=[
            *([_outside_of_ranges()] if ranged else []),
            _mapper(_NO_ROUTE, 404, UNKNOWN_HOST, UNKNOWN_HOST_BODY),
            _mapper(_WAITED_FOR_VIRTUAL_HOST, 503, NO_ANSWER, _NO_ANSWER_BODY),
            _mapper(_WAITED_FOR_CLUSTER, 503, NO_ANSWER, _NO_ANSWER_BODY),
        ]
    )


def reason(value: str) -> base_pb2.HeaderValueOption:
    """The header that names why the mesh itself has answered."""
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=REASON_HEADER, value=value),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _outside_of_ranges() -> Mapper:
    """Nothing else on this side answers 403."""
    mapper = Mapper(
        body_format_override=text_format(_OTHER_ADDRESS_BODY),
        headers_to_add=[reason(OTHER_ADDRESS)],
    )
    comparison = mapper.filter.status_code_filter.comparison
    comparison.value.default_value = 403
    comparison.value.runtime_key = "osm.outside-of-ranges"
    return mapper


def _mapper(flag: str, status: int, why: str, body: str) -> Mapper:
    mapper = Mapper(body_format_override=text_format(body), headers_to_add=[reason(why)])
    mapper.status_code.value = status
    both = mapper.filter.and_filter.filters
    both.add(response_flag_filter=accesslog_pb2.ResponseFlagFilter(flags=[flag]))
    # A client that was too slow to say what it wants gets the idle stream's flag as well.
    whole = route_components_pb2.HeaderMatcher(name=":authority", present_match=True)
    both.add(header_filter=accesslog_pb2.HeaderFilter(header=whole))
    return mapper
