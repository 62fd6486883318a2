"""Open Service Mesh: a small service mesh on stock Envoy, on Kubernetes and on one machine."""

__version__ = "2.0.0.dev0"
