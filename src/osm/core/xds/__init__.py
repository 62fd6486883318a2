"""The xDS protocol as a state machine without sockets: subscriptions, versions, nonces, deltas.

`delta` is one proxy's stream; `distribution` knows, for each resource, who holds it, and what a new
model changes. Sockets, certificates and time are `osm.ads`'s.
"""
