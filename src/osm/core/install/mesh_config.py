"""MeshConfig, the settings of a mesh, as an installation writes them once. Upgrades leave them alone."""

from osm.core.install.labels import LABELS
from osm.core.install.names import MESH_CONFIG
from osm.core.install.template import NAMESPACE, Template, Value
from osm.core.install.values import FeatureFlags
from osm.core.model.groups import CONFIG

_FLAGS = FeatureFlags.__struct_encode_fields__


def _osm(path: str) -> Value:
    return Value(f"osm.{path}")


CONFIGURATION = Template(
    "mesh-config",
    {
        "apiVersion": f"{CONFIG}/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": MESH_CONFIG, "namespace": NAMESPACE, "labels": LABELS},
        "spec": {
            "sidecar": {
                "enablePrivilegedInitContainer": _osm("enablePrivilegedInitContainer"),
                "logLevel": _osm("envoyLogLevel"),
                "maxDataPlaneConnections": _osm("maxDataPlaneConnections"),
                "configResyncInterval": _osm("configResyncInterval"),
                "localProxyMode": _osm("localProxyMode"),
            },
            "traffic": {
                "enableEgress": _osm("enableEgress"),
                "enablePermissiveTrafficPolicyMode": _osm("enablePermissiveTrafficPolicy"),
                "outboundIPRangeExclusionList": _osm("outboundIPRangeExclusionList"),
                "outboundIPRangeInclusionList": _osm("outboundIPRangeInclusionList"),
                "outboundPortExclusionList": _osm("outboundPortExclusionList"),
                "inboundPortExclusionList": _osm("inboundPortExclusionList"),
                "networkInterfaceExclusionList": _osm("networkInterfaceExclusionList"),
            },
            "observability": {
                "osmLogLevel": _osm("controllerLogLevel"),
                "enableDebugServer": _osm("enableDebugServer"),
                "tracing": {
                    "enable": _osm("tracing.enable"),
                    "address": _osm("tracing.address"),
                    "port": _osm("tracing.port"),
                    "endpoint": _osm("tracing.endpoint"),
                },
            },
            "certificate": {
                "serviceCertValidityDuration": _osm(
                    "certificateProvider.serviceCertValidityDuration"
                ),
                "certKeyBitSize": _osm("certificateProvider.certKeyBitSize"),
            },
            "featureFlags": {name: _osm(f"featureFlags.{name}") for name in _FLAGS},
        },
    },
)
