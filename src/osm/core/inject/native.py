"""Whether a cluster has native sidecars: init containers that start first, and end last."""

import re
from collections.abc import Iterable

SINCE = (1, 29)
"""The first version in which they are there unless somebody switches them off."""
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\D.*)?", re.ASCII | re.DOTALL)


def has_native_sidecars(versions: Iterable[str]) -> bool:
    """Whether all of them do: the API server, and the kubelet of each node (`v1.31.4-eks-1`).

    An older kubelet would wait for such a container to end, for ever. So who is not understood counts
    as old, and so does a cluster of which nothing is known.
    """
    found = [_VERSION.fullmatch(version) for version in versions]
    return bool(found) and all(
        match is not None and (int(match[1]), int(match[2])) >= SINCE for match in found
    )
