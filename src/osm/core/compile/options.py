"""What the platform, not the user, decides about compilation."""

import msgspec


class CompileOptions(msgspec.Struct, frozen=True, gc=False):
    """`require_monitored_label`: only namespaces labelled for this mesh take part (Kubernetes).
    `gateway`: the unix socket by which proxies reach what is beyond the mesh, where they have
    networks of their own; empty where they can do so themselves.
    `placement`: a pod's annotations say where its proxy is. Only the local platform, which writes
    them itself, may believe them: they could lead callers to any address, their own included.
    `namespace`: that of the mesh itself. Policies in it may be about all of the mesh.
    `former_mesh`: a mesh of OSM's that this one takes over from, or nothing. Its namespaces take part.
    """

    mesh: str = "osm"
    trust_domain: str = "cluster.local"
    require_monitored_label: bool = True
    gateway: str = ""
    placement: bool = False
    namespace: str = "osm-system"
    former_mesh: str = ""
