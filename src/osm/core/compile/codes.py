"""The codes of the compiler's findings. Stable: people search for them, and each has a page.

`OSM2..` is about services and workloads, `OSM3..` about policies; within a page's family they count on.
"""

# Services
APP_PROTOCOL = "OSM201"  # an `appProtocol` that is not known
SELECTS_NOTHING = "OSM202"  # no workload stands behind a service
NOBODY_READY = "OSM203"  # workloads stand behind a service, and none is ready
TARGET_NAME = "OSM204"  # a target port is a name that no workload has
TARGET_NUMBER = "OSM205"  # a target port that no container declares
SPOKEN_TWICE = "OSM206"  # one port of a workload has two protocols
RESERVED_PORT = "OSM207"  # the proxy takes this port for itself
NOT_HTTP = "OSM208"  # a port known for something else is treated as HTTP
NOT_TCP = "OSM209"  # UDP and SCTP pass the mesh by
SUBDOMAIN = "OSM210"  # the stable names of pods are below a service that does not exist
PROTOCOL_CONTRADICTION = "OSM211"  # name and `appProtocol` of a port contradict each other
ALIAS_CIRCLE = "OSM212"  # an ExternalName that leads back to itself
ALIAS_FORBIDDEN = "OSM213"  # an ExternalName that leads to where nobody may call

# Workloads and namespaces
ACCOUNT = "OSM221"  # a service account that no ServiceAccount defines
HOST_NETWORK = "OSM222"  # a pod in its machine's own network
UNKNOWN_KEY = "OSM223"  # a label or annotation of ours that means nothing there
UNKNOWN_VALUE = "OSM224"  # a value of an annotation of ours that means nothing
NO_PROXY = "OSM225"  # pods of the mesh without a proxy
FORMER_PROXY = "OSM226"  # pods with a proxy of OSM's
OUTSIDE = "OSM231"  # a policy in a namespace that is not in the mesh

# Access
NO_ROUTES = "OSM301"  # a reference to routes that do not exist
NO_MATCH = "OSM302"  # a match that its route group does not have
NO_SOURCE = "OSM303"  # nobody runs as a source
NO_DESTINATION = "OSM304"  # nobody runs as the destination
PATH = "OSM305"  # a path regex that no path fits
RULE_PROTOCOL = "OSM306"  # a rule for what the destination does not speak
RULE_PORT = "OSM307"  # a rule for a port that the destination does not have
GRANTED_TWICE = "OSM308"  # another TrafficTarget grants the same
UNUSED = "OSM309"  # routes that nobody refers to

# Splits
NO_ROOT = "OSM311"  # there is no such service to split
SPLIT_TWICE = "OSM312"  # the service is split already
NO_LEAF = "OSM313"  # a backend that does not exist
EMPTY_LEAF = "OSM314"  # a backend that no workload stands behind
LEAF_PROTOCOL = "OSM315"  # a backend that speaks something else
SPLIT_AGAIN = "OSM316"  # a backend that is split itself
LEAF_ACCESS = "OSM317"  # a backend that nobody may call, and others somebody
MATCHES_ALL = "OSM318"  # a match after one that fits every request
MATCHES_TCP = "OSM319"  # matches for a port that does not speak HTTP

# MeshConfig
CONFIG_NAME = "OSM321"  # a MeshConfig with another name
CONFIG_TWICE = "OSM322"  # a second MeshConfig
PERMISSIVE = "OSM323"  # access rules in permissive mode
CONFIG_NO_EFFECT = "OSM324"  # a field without effect on this platform

# Egress
EGRESS_NEEDLESS = "OSM331"  # everybody may call everything anyway
EGRESS_NO_GROUP = "OSM332"  # a route group that does not exist
EGRESS_NO_SETTING = "OSM333"  # an UpstreamTrafficSetting that does not exist
EGRESS_TCP = "OSM335"  # a port where everything leaves, whatever hosts are named
EGRESS_IN_MESH = "OSM336"  # a host that is a service of the mesh
EGRESS_SOURCE = "OSM337"  # nobody runs as a source

# IngressBackend
INGRESS_NO_SERVICE = "OSM341"  # a service that does not exist
INGRESS_NO_PORT = "OSM342"  # a port that no pod of the service has
INGRESS_NO_SOURCE = "OSM343"  # a source that is nobody
INGRESS_TWICE = "OSM344"  # another IngressBackend has the port

# Retry
RETRY_OFF = "OSM361"  # MeshConfig does not let Retry count
RETRY_NO_SERVICE = "OSM362"  # a destination that does not exist
RETRY_NO_HTTP = "OSM363"  # a destination that speaks no HTTP
RETRY_TWICE = "OSM364"  # another Retry has the pair
RETRY_SOURCE = "OSM365"  # nobody runs as the source

# UpstreamTrafficSetting
LIMITS_NO_SERVICE = "OSM371"  # a host that no service has
LIMITS_TWICE = "OSM372"  # another one has the limits of the service
LIMITS_NO_ROUTE = "OSM373"  # a path that no route has
LIMITS_GLOBAL = "OSM374"  # a server of limits is asked about nothing
LIMITS_NO_HTTP = "OSM375"  # limits of HTTP for a service without it
LIMITS_BEYOND = "OSM376"  # limits that nobody keeps beyond the mesh
LIMITS_SHARED_PORT = "OSM377"  # another service's limit counts for a shared port

# Telemetry, tracing and the servers behind them
TELEMETRY_NO_SERVICE = "OSM381"  # an ExtensionService that does not exist
TELEMETRY_TWICE = "OSM382"  # another Telemetry counts for the same workloads
TELEMETRY_NOBODY = "OSM383"  # no workload has the labels
TELEMETRY_HTTP1 = "OSM384"  # OpenTelemetry over HTTP/1.1
EXTENSION_NOT_THERE = "OSM391"  # a server that is named as a service that is not there
