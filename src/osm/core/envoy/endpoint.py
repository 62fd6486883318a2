"""Endpoints: the workloads behind a service port."""

import msgspec
from google.protobuf.struct_pb2 import Struct, Value

from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from osm.core.envoy.address import envoy_address
from osm.core.envoy.names import METADATA
from osm.core.model.service import Endpoint


class Endpoints(msgspec.Struct, frozen=True, order=True, gc=False):
    """The endpoints of one service port, by the name that clusters refer to."""

    name: str
    members: tuple[Endpoint, ...]


def build_endpoints(value: Endpoints) -> endpoint_pb2.ClusterLoadAssignment:
    """One locality, as OSM's. Metadata says who each endpoint is: clients' metrics are labelled by it."""
    return endpoint_pb2.ClusterLoadAssignment(
        cluster_name=value.name,
        endpoints=[
            endpoint_components_pb2.LocalityLbEndpoints(
                locality=base_pb2.Locality(zone="local"),
                lb_endpoints=[_lb_endpoint(member) for member in value.members],
            )
        ]
        if value.members
        else [],
    )


def _lb_endpoint(member: Endpoint) -> endpoint_components_pb2.LbEndpoint:
    labels = Struct(
        fields={
            "namespace": Value(string_value=member.namespace),
            "kind": Value(string_value=member.owner_kind),
            "name": Value(string_value=member.owner_name),
            "pod": Value(string_value=member.workload),
        }
    )
    return endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=envoy_address(member.address)),
        metadata=base_pb2.Metadata(filter_metadata={METADATA: labels}),
    )
