"""Which namespaces a mesh looks at, and where it gives proxies to pods."""

from collections.abc import Mapping

import pytest

from osm.core.api.membership import gives_proxies, is_read, is_taken_over

MONITORED_BY = "openservicemesh.io/monitored-by"
TAKEN_OVER_BY = "openservicemesh.io/taken-over-by"
IGNORE = "openservicemesh.io/ignore"


@pytest.mark.parametrize(
    ("labels", "former", "read", "served", "taken"),
    [
        ({}, "", False, False, False),
        ({}, "old", False, False, False),
        ({MONITORED_BY: "new"}, "", True, True, False),
        ({MONITORED_BY: "new"}, "old", True, True, False),
        ({MONITORED_BY: "new", IGNORE: "true"}, "old", False, False, False),
        ({MONITORED_BY: "old"}, "", False, False, False),
        ({MONITORED_BY: "old"}, "old", True, False, False),
        ({MONITORED_BY: "old", IGNORE: "true"}, "old", False, False, False),
        ({MONITORED_BY: "old", TAKEN_OVER_BY: "new"}, "old", True, True, True),
        ({MONITORED_BY: "old", TAKEN_OVER_BY: "new", IGNORE: "true"}, "old", True, True, True),
        ({MONITORED_BY: "old", TAKEN_OVER_BY: "new", IGNORE: "true"}, "", False, False, True),
        ({MONITORED_BY: "old", TAKEN_OVER_BY: "blue"}, "old", True, False, False),
        ({MONITORED_BY: "old", TAKEN_OVER_BY: "blue", IGNORE: "true"}, "old", False, False, False),
        ({MONITORED_BY: "blue", TAKEN_OVER_BY: "new"}, "old", False, False, True),
        # What is left of a take-over that is over, and what nobody monitors.
        ({MONITORED_BY: "new", TAKEN_OVER_BY: "new"}, "old", True, True, False),
        ({MONITORED_BY: "new", TAKEN_OVER_BY: "new", IGNORE: "true"}, "old", False, False, False),
        ({TAKEN_OVER_BY: "new"}, "old", False, False, False),
        # No former mesh is not one without a name.
        ({MONITORED_BY: ""}, "", False, False, False),
    ],
)
def test_a_namespace_belongs_by_its_labels(
    labels: Mapping[str, str],
    former: str,
    read: bool,  # noqa: FBT001
    served: bool,  # noqa: FBT001
    taken: bool,  # noqa: FBT001
) -> None:
    found = (
        is_read(labels, "new", former),
        gives_proxies(labels, "new", former),
        is_taken_over(labels, "new"),
    )
    assert found == (read, served, taken)
