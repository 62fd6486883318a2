"""The gRPC server that drives `core.xds`: sockets, TLS and tasks; no decisions about configuration.

One stream a proxy (incremental aggregated discovery), authenticated by the proxy's bootstrap
certificate. The same server takes the proxies' logs of refused requests.
"""
