"""What an injected pod's Envoy is started with, and the files that all of them find beside their token.

Nothing here depends on one pod but its probes: the text is an argument in the pod's spec, the files are
one ConfigMap in each namespace of the mesh, and neither holds a secret (decision 14).
"""

from osm.core.envoy.bootstrap import (
    TOKEN_FILE,
    TRUST_FILE,
    Bootstrap,
    HostAddress,
    build_bootstrap,
    build_token_file,
    build_volume_trust_file,
)
from osm.core.envoy.names import ADMIN_PORT
from osm.core.envoy.probes import EVERY_IPV4, ProbeListeners
from osm.core.envoy.token import VOLUME_ROOTS
from osm.core.inject.sidecar import DIRECTORY
from osm.core.install.names import ADS_PORT, Installation
from osm.core.model.probe import Probes
from osm.core.model.workload import SocketAddress
from osm.runtime.settings import ads_name


def pod_bootstrap(
    installation: Installation, trust_domain: str, probes: Probes, *, address: str = EVERY_IPV4
) -> str:
    """The text for `--config-yaml`. Whose proxy it is, its other arguments say.

    `address`: where the kubelet's calls are taken; `EVERY_ADDRESS` where pods have IPv6 addresses.
    Its length is the caller's to look at: each probe adds about 150 bytes, each port 650.
    """
    return build_bootstrap(
        Bootstrap(
            proxy=None,
            control_plane=HostAddress(installation.controller_host, ADS_PORT),
            control_plane_name=ads_name(trust_domain),
            admin=SocketAddress("127.0.0.1", ADMIN_PORT),
            directory=DIRECTORY,
            shows_token=True,
            probes=ProbeListeners(probes, address),
        )
    )


def proxy_files(roots_pem: str, trust_domain: str) -> dict[str, str]:
    """The content of the ConfigMap `names.PROXY_FILES`: the roots that the control plane's certificate
    comes from, and what tells Envoy of them and of its token.
    """
    return {
        VOLUME_ROOTS: roots_pem,
        TOKEN_FILE: build_token_file(DIRECTORY),
        TRUST_FILE: build_volume_trust_file(DIRECTORY, ads_name(trust_domain)),
    }
