"""The server that drives `core.xds`: sockets, TLS and tasks; no decisions about configuration.

One stream a proxy (incremental aggregated discovery), authenticated by the proxy's bootstrap
certificate, or on Kubernetes by its token (decision 14). The same server takes the proxies' logs of
refused requests. What it needs of a network is `transport`; `grpc_transport` is the one there is.
"""
