"""Durations of the model as Envoy's."""

from google.protobuf.duration_pb2 import Duration

NANOSECONDS = 10**9


def nanoseconds(count: int) -> Duration:
    """A duration of so many nanoseconds."""
    return Duration(seconds=count // NANOSECONDS, nanos=count % NANOSECONDS)
