"""Who is asked, beside the mesh's own rules, whether a request may pass."""

import msgspec

from osm.core.model.extension import ExtensionServer
from osm.core.model.origin import mesh_config_origin

AUTHORIZATION_ORIGIN = mesh_config_origin("spec.traffic.inboundExternalAuthorization")
CHECK_PATH = "/envoy.service.auth.v3.Authorization/Check"
"""What proxies call to ask."""


class Authorization(msgspec.Struct, frozen=True, order=True, gc=False):
    """The external authorizer: asked about each HTTP request that access rules let in."""

    server: ExtensionServer
    timeout_ns: int
    failure_mode_allow: bool
    """Requests pass when it does not answer."""
    stat_prefix: str
