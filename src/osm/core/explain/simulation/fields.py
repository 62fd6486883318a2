"""All that the simulation has heard of: messages, and their fields.

For each message: fields that it reads, and fields that change no verdict. Anything else in a
configuration is an error, wherever it stands.
"""

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from osm.core.explain.simulation.answer import NotSimulated
from osm.core.explain.simulation.unpack import INDIFFERENT, READ

_FIELDS: dict[str, tuple[str, str]] = {
    # --- listeners
    "envoy.config.listener.v3.Listener": (
        "name address filter_chains default_filter_chain filter_chain_matcher listener_filters",
        "traffic_direction access_log listener_filters_timeout continue_on_listener_filters_timeout",
    ),
    "envoy.config.listener.v3.ListenerFilter": ("name typed_config filter_disabled", ""),
    "envoy.config.listener.v3.ListenerFilterChainMatchPredicate": (
        "or_match not_match destination_port_range",
        "",
    ),
    "envoy.config.listener.v3.ListenerFilterChainMatchPredicate.MatchSet": ("rules", ""),
    "envoy.config.listener.v3.FilterChain": (
        "name filter_chain_match filters transport_socket",
        "transport_socket_connect_timeout",
    ),
    "envoy.config.listener.v3.FilterChainMatch": (
        "destination_port prefix_ranges server_names transport_protocol application_protocols",
        "",
    ),
    "envoy.config.listener.v3.Filter": ("name typed_config config_discovery", ""),
    "envoy.config.core.v3.ExtensionConfigSource": ("type_urls", "config_source"),
    "envoy.config.core.v3.TypedExtensionConfig": ("name typed_config", ""),
    "envoy.config.core.v3.Address": ("pipe socket_address", ""),
    "envoy.config.core.v3.Pipe": ("path", "mode"),
    "envoy.config.core.v3.SocketAddress": ("address port_value", ""),
    "envoy.config.core.v3.CidrRange": ("address_prefix prefix_len", ""),
    "envoy.type.v3.Int32Range": ("start end", ""),
    # --- network filters
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy": (
        "cluster weighted_clusters on_demand",
        "stat_prefix access_log access_log_options max_connect_attempts",
    ),
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.OnDemand": ("", "odcds_config timeout"),
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster": ("clusters", ""),
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight": (
        "name weight",
        "",
    ),
    "envoy.extensions.filters.network.set_filter_state.v3.Config": ("on_new_connection", ""),
    "envoy.extensions.filters.http.set_filter_state.v3.Config": ("on_request_headers", ""),
    "envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue": (
        "object_key format_string",
        "factory_key",
    ),
    "envoy.config.core.v3.SubstitutionFormatString": ("text_format_source", ""),
    "envoy.config.core.v3.DataSource": ("inline_string inline_bytes", ""),
    "envoy.extensions.filters.network.rbac.v3.RBAC": ("matcher", "stat_prefix enforcement_type"),
    # --- the HTTP connection manager and its filters
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": (
        (
            "rds http_filters early_header_mutation_extensions normalize_path merge_slashes "
            "path_with_escaped_slashes_action use_remote_address xff_num_trusted_hops"
        ),
        (
            "stat_prefix access_log local_reply_config generate_request_id stream_idle_timeout tracing "
            "http_protocol_options http2_protocol_options request_headers_timeout upgrade_configs "
            "server_header_transformation forward_client_cert_details "
            "set_current_client_cert_details always_set_request_id_in_response "
            "preserve_external_request_id"
        ),
    ),
    "envoy.extensions.filters.network.http_connection_manager.v3.Rds": (
        "route_config_name",
        "config_source",
    ),
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": (
        "name typed_config",
        "disabled",
    ),
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation": (
        "mutations",
        "",
    ),
    "envoy.config.common.mutation_rules.v3.HeaderMutation": ("remove_on_match", ""),
    "envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch": ("key_matcher", ""),
    "envoy.extensions.filters.http.on_demand.v3.OnDemand": ("odcds", ""),
    "envoy.extensions.filters.http.on_demand.v3.OnDemandCds": ("", "source timeout"),
    "envoy.extensions.filters.http.rbac.v3.RBAC": ("matcher rules", ""),
    "envoy.extensions.filters.http.rbac.v3.RBACPerRoute": ("rbac", ""),
    "envoy.config.rbac.v3.RBAC": ("action policies", ""),
    "envoy.config.rbac.v3.Policy": ("permissions principals", ""),
    "envoy.config.rbac.v3.Permission": ("destination_ip or_rules any", ""),
    "envoy.config.rbac.v3.Permission.Set": ("rules", ""),
    "envoy.config.rbac.v3.Principal": ("any", ""),
    "envoy.config.rbac.v3.Action": ("name action", ""),
    "envoy.extensions.filters.http.health_check.v3.HealthCheck": ("pass_through_mode headers", ""),
    # Places that routes fill with another filter, which then is looked at as any other.
    "envoy.extensions.common.matching.v3.ExtensionWithMatcher": (
        "extension_config xds_matcher",
        "",
    ),
    "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute": ("xds_matcher", ""),
    "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction": ("typed_config", ""),
    # --- routes
    "envoy.config.route.v3.RouteConfiguration": (
        "name vhds virtual_hosts typed_per_filter_config",
        "validate_clusters response_headers_to_remove",
    ),
    "envoy.config.route.v3.Vhds": ("", "config_source"),
    "envoy.config.route.v3.VirtualHost": (
        "name domains routes typed_per_filter_config",
        "rate_limits metadata response_headers_to_remove",
    ),
    "envoy.config.route.v3.Route": (
        "match route direct_response typed_per_filter_config",
        "name metadata response_headers_to_add decorator tracing",
    ),
    "envoy.config.route.v3.DirectResponseAction": ("status", "body body_format"),
    "envoy.config.route.v3.RouteMatch": (
        "prefix path safe_regex path_separated_prefix headers query_parameters grpc",
        "",
    ),
    "envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions": ("", ""),
    "envoy.config.route.v3.HeaderMatcher": ("name string_match", ""),
    "envoy.config.route.v3.QueryParameterMatcher": ("name string_match", ""),
    "envoy.config.route.v3.RouteAction": (
        "cluster weighted_clusters",
        "timeout idle_timeout retry_policy rate_limits",
    ),
    "envoy.config.route.v3.WeightedCluster": ("clusters", ""),
    "envoy.config.route.v3.WeightedCluster.ClusterWeight": ("name weight", ""),
    # --- matchers
    "envoy.type.matcher.v3.StringMatcher": ("exact prefix suffix contains safe_regex", ""),
    "envoy.type.matcher.v3.RegexMatcher": ("regex", "google_re2"),
    "xds.type.matcher.v3.StringMatcher": ("exact prefix suffix contains safe_regex", ""),
    "xds.type.matcher.v3.RegexMatcher": ("regex", "google_re2"),
    "xds.core.v3.TypedExtensionConfig": ("name typed_config", ""),
    "xds.core.v3.CidrRange": ("address_prefix prefix_len", ""),
    "xds.type.matcher.v3.Matcher": ("matcher_list matcher_tree on_no_match", ""),
    "xds.type.matcher.v3.Matcher.OnMatch": ("matcher action", ""),
    "xds.type.matcher.v3.Matcher.MatcherList": ("matchers", ""),
    "xds.type.matcher.v3.Matcher.MatcherList.FieldMatcher": ("predicate on_match", ""),
    "xds.type.matcher.v3.Matcher.MatcherList.Predicate": (
        "single_predicate or_matcher and_matcher not_matcher",
        "",
    ),
    "xds.type.matcher.v3.Matcher.MatcherList.Predicate.SinglePredicate": (
        "input value_match custom_match",
        "",
    ),
    "xds.type.matcher.v3.Matcher.MatcherList.Predicate.PredicateList": ("predicate", ""),
    "xds.type.matcher.v3.Matcher.MatcherTree": ("input exact_match_map custom_match", ""),
    "xds.type.matcher.v3.Matcher.MatcherTree.MatchMap": ("map", ""),
    "xds.type.matcher.v3.IPMatcher": ("range_matchers", ""),
    "xds.type.matcher.v3.IPMatcher.IPRangeMatcher": ("ranges on_match exclusive", ""),
    "envoy.type.matcher.v3.HttpRequestHeaderMatchInput": ("header_name", ""),
    "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput": ("key", ""),
    "envoy.extensions.matching.input_matchers.ip.v3.Ip": ("cidr_ranges", "stat_prefix"),
    "envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction": (
        "runtime_fraction",
        "",
    ),
    "envoy.config.core.v3.RuntimeFractionalPercent": ("runtime_key default_value", ""),
    "envoy.type.v3.FractionalPercent": ("numerator", ""),
    "envoy.service.runtime.v3.Runtime": ("layer", "name"),
    # --- clusters and endpoints
    "envoy.config.cluster.v3.Cluster": (
        "name type eds_cluster_config load_assignment transport_socket lb_policy",
        (
            "alt_stat_name circuit_breakers connect_timeout metadata dns_lookup_family "
            "typed_extension_protocol_options health_checks"
        ),
    ),
    "envoy.extensions.transport_sockets.http_11_proxy.v3.Http11ProxyUpstreamTransport": (
        "transport_socket",
        "",
    ),
    "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport": (
        "config transport_socket",
        "",
    ),
    "envoy.config.core.v3.ProxyProtocolConfig": ("version", ""),
    "envoy.config.cluster.v3.Cluster.EdsClusterConfig": ("service_name", "eds_config"),
    "envoy.config.endpoint.v3.ClusterLoadAssignment": ("endpoints", "cluster_name"),
    "envoy.config.endpoint.v3.LocalityLbEndpoints": ("lb_endpoints", "locality"),
    "envoy.config.endpoint.v3.LbEndpoint": ("endpoint", "metadata"),
    "envoy.config.endpoint.v3.Endpoint": ("address", ""),
    # --- TLS
    "envoy.config.core.v3.TransportSocket": ("name typed_config", ""),
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext": ("sni common_tls_context", ""),
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext": (
        "common_tls_context require_client_certificate",
        "",
    ),
    "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext": (
        "alpn_protocols tls_certificate_sds_secret_configs combined_validation_context tls_params",
        "",
    ),
    "envoy.extensions.transport_sockets.tls.v3.TlsParameters": (
        "tls_minimum_protocol_version tls_maximum_protocol_version",
        # Whoever names suites or curves that nobody has in common cuts everybody off, by one object.
        "cipher_suites ecdh_curves",
    ),
    "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig": ("name", "sds_config"),
    "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext": (
        "default_validation_context validation_context_sds_secret_config",
        "",
    ),
    "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext": (
        "match_typed_subject_alt_names trusted_ca",
        "",
    ),
    "envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher": ("san_type matcher", ""),
    "envoy.extensions.transport_sockets.tls.v3.Secret": (
        "validation_context tls_certificate",
        "name",
    ),
    "envoy.extensions.transport_sockets.tls.v3.TlsCertificate": (
        "certificate_chain private_key",
        "",
    ),
}
_WORDS = {
    message: (frozenset(read.split()), frozenset(other.split()))
    for message, (read, other) in _FIELDS.items()
}
_PLAIN = frozenset({"google.protobuf.Struct", "google.protobuf.StringValue"})


def check(message: Message) -> None:
    """Raise `NotSimulated` for the first thing in a message that the simulation does not know."""
    name = message.DESCRIPTOR.full_name
    if isinstance(message, Any):
        _check_any(message)
        return
    known = _WORDS.get(name)
    if known is None:
        if name.startswith("google.protobuf.") and (name in _PLAIN or name.endswith("Value")):
            return
        if name in READ_NAMES and not message.ListFields():
            return
        raise NotSimulated(f"the simulation does not know the message {name}")
    for field, value in message.ListFields():
        if field.name in known[1]:
            continue
        if field.name not in known[0]:
            text = f"the simulation does not know the field {field.name} of {name}"
            raise NotSimulated(text)
        if field.message_type is not None:
            _check_values(value)


def _check_values(value: object) -> None:
    if isinstance(value, Message):
        check(value)
    elif hasattr(value, "values"):
        for each in value.values():
            check(each)
    else:
        for each in value:  # type: ignore[attr-defined]
            check(each)


def _check_any(value: Any) -> None:
    if value.type_url in INDIFFERENT:
        return
    kind = READ.get(value.type_url)
    if kind is None:
        raise NotSimulated(f"the simulation does not know {value.type_url}")
    message = kind()
    message.ParseFromString(value.value)
    check(message)


READ_NAMES = frozenset(url.rpartition("/")[2] for url in READ)
