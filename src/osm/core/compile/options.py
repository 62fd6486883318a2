"""What the platform, not the user, decides about compilation."""

import msgspec


class CompileOptions(msgspec.Struct, frozen=True, gc=False):
    """`require_monitored_label`: only namespaces labelled for this mesh take part (Kubernetes).
    `way_out`: proxies can reach what is beyond the mesh. In namespaces of their own they cannot.
    """

    mesh: str = "osm"
    trust_domain: str = "cluster.local"
    require_monitored_label: bool = True
    way_out: bool = True
