"""The xDS types that we serve, and the order in which a proxy must learn of them."""

PREFIX = "type.googleapis.com/"
CLUSTER = PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINT = PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET = PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
LISTENER = PREFIX + "envoy.config.listener.v3.Listener"
EXTENSION = PREFIX + "envoy.config.core.v3.TypedExtensionConfig"
ROUTE = PREFIX + "envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST = PREFIX + "envoy.config.route.v3.VirtualHost"
RUNTIME = PREFIX + "envoy.service.runtime.v3.Runtime"

# Make before break: what is referred to goes first; removals go last, in the opposite order
# (Envoy's documentation of xDS, "Eventual consistency considerations").
ORDER = (RUNTIME, CLUSTER, ENDPOINT, SECRET, EXTENSION, LISTENER, ROUTE, VIRTUAL_HOST)

KNOWN = {type_url: type_url for type_url in ORDER}
"""The text that stands here, for an equal one: those that come in requests are new each time."""

WILDCARD_TYPES = frozenset({CLUSTER, LISTENER})
"""Types of which a proxy may ask for "everything that is mine". For others `*` is only a name that
Envoy repeats when it reconnects (measured: also for virtual hosts)."""

PUSHED_TYPES = frozenset({VIRTUAL_HOST})
"""Types of which a proxy is told what is its own without asking for it."""

LEAF_TYPES = frozenset({VIRTUAL_HOST})
"""Types that nothing refers to: what goes needs not wait for what comes."""

SHORT_NAMES = {
    CLUSTER: "CDS",
    ENDPOINT: "EDS",
    SECRET: "SDS",
    LISTENER: "LDS",
    EXTENSION: "ECDS",
    ROUTE: "RDS",
    VIRTUAL_HOST: "VHDS",
    RUNTIME: "RTDS",
}
