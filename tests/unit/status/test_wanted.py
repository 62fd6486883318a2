"""The status of objects: what it says, and that it is written once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.core.api.registry import Kind, find_kind
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.status import Present, same_status, wanted_status

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def kind(name: str) -> Kind:
    found = find_kind(name)
    assert found is not None
    return found


def finding(
    code: str = "OSM133",
    severity: Severity = Severity.ERROR,
    message: str = "all weights are 0",
    field: str = "spec.backends",
) -> Finding:
    origin = Origin("TrafficSplit", "shop", "split", field, "split.smi-spec.io")
    return Finding(code, severity, origin, message)


WARNING = finding("OSM220", Severity.WARNING, "no service of this name", "spec.service")
INFO = finding("OSM999", Severity.INFO)
REFUSED = finding("OSM902", message="proxy shop/a refused what this says", field="")
NOT_BUILT = finding("OSM903", message="could not be built", field="")


def write(
    findings: tuple[Finding, ...] = (),
    status: dict[str, Any] | None = None,
    *,
    generation: int = 1,
    now: str = NOW,
    of: str = "trafficsplits",
) -> dict[str, Any] | None:
    return wanted_status(kind(of), Present(generation, status or {}), findings, now)


def written(*args: Any, **more: Any) -> dict[str, Any]:
    status = write(*args, **more)
    assert status is not None
    return status


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: f"{each['status']} {each['reason']}" for each in status["conditions"]}


@pytest.mark.parametrize(
    ("findings", "word", "accepted", "programmed"),
    [
        ((), "committed", "True Accepted", "True Programmed"),
        ((INFO,), "committed", "True Accepted", "True Programmed"),
        ((WARNING,), "committed", "True AcceptedWithWarnings", "True Programmed"),
        ((finding(),), "error", "False Invalid", "False NotAccepted"),
        ((finding(), WARNING), "error", "False Invalid", "False NotAccepted"),
        ((REFUSED,), "error", "True Accepted", "False RefusedByProxy"),
        ((REFUSED, WARNING), "error", "True AcceptedWithWarnings", "False RefusedByProxy"),
        ((REFUSED, finding()), "error", "False Invalid", "False RefusedByProxy"),
        ((NOT_BUILT,), "error", "True Accepted", "False NotBuilt"),
    ],
)
def test_what_findings_mean(
    findings: tuple[Finding, ...], word: str, accepted: str, programmed: str
) -> None:
    status = written(findings)
    assert status["currentStatus"] == word
    assert conditions(status) == {"Accepted": accepted, "Programmed": programmed}


def test_a_kind_that_nothing_is_done_with_yet_is_pending() -> None:
    status = written(of="meshrootcertificates")
    assert status["currentStatus"] == "pending"
    assert conditions(status) == {"Accepted": "True Accepted", "Programmed": "False NoEffect"}


def test_a_good_object_reads_as_osm_wrote_it() -> None:
    status = written(of="ingressbackends", generation=4)
    assert status["currentStatus"] == "committed"
    assert status["reason"] == "successfully committed by the system"
    assert status["observedGeneration"] == 4


def test_a_bad_one_says_what_is_wrong_and_where() -> None:
    status = written((finding(), WARNING))
    assert status["reason"] == (
        "[OSM133] spec.backends: all weights are 0\n[OSM220] spec.service: no service of this name"
    )
    assert status["conditions"][0]["message"] == status["reason"]


def test_each_condition_is_what_the_api_conventions_demand() -> None:
    for each in written((finding(),), generation=7)["conditions"]:
        assert each.keys() == {
            *("type", "status", "reason", "message"),
            *("observedGeneration", "lastTransitionTime"),
        }
        assert each["status"] in ("True", "False", "Unknown")
        assert each["reason"].isalnum() and each["reason"][0].isupper()
        assert (each["observedGeneration"], each["lastTransitionTime"]) == (7, NOW)


def test_the_time_of_a_transition_is_kept_until_the_next_one() -> None:
    before = written((WARNING,))
    same = written((), before, generation=2, now=LATER)
    assert [each["lastTransitionTime"] for each in same["conditions"]] == [NOW, NOW]
    turned = written((REFUSED,), before, now=LATER)
    assert [each["lastTransitionTime"] for each in turned["conditions"]] == [NOW, LATER]


def test_a_new_generation_is_said_although_nothing_else_changed() -> None:
    before = written()
    assert write((), before, generation=1, now=LATER) is None
    assert written((), before, generation=2, now=LATER)["observedGeneration"] == 2


def test_conditions_and_fields_of_others_are_no_reason_to_write() -> None:
    before = written()
    theirs = {"type": "Ready", "status": "True", "reason": "Theirs", "message": ""}
    status = {**before, "conditions": [theirs, *before["conditions"]], "theirs": {"x": 1}}
    assert write((), status, now=LATER) is None


MESSAGES = st.text(min_size=1, max_size=3000)
FINDINGS = st.lists(
    st.builds(
        finding,
        st.sampled_from(["OSM133", "OSM220", "OSM901", "OSM902", "OSM903", "OSM904"]),
        st.sampled_from(Severity),
        MESSAGES,
        st.sampled_from(["", "spec", "spec.backends[0].weight"]),
    ),
    max_size=8,
).map(tuple)
GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "currentStatus": GARBAGE,
        "reason": GARBAGE,
        "observedGeneration": GARBAGE,
        "conditions": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "type": st.sampled_from(["Accepted", "Programmed", "Ready"]) | GARBAGE,
                    "status": st.sampled_from(["True", "False"]) | GARBAGE,
                    "lastTransitionTime": st.just(NOW) | GARBAGE,
                },
            )
            | GARBAGE
        )
        | GARBAGE,
    },
)


@given(findings=FINDINGS, status=STATUSES, generation=st.integers(0, 9))
def test_what_is_written_is_never_written_again(
    findings: tuple[Finding, ...], status: dict[str, Any], generation: int
) -> None:
    """Whatever stood there before: one write, and then none, whatever the time."""
    first = write(findings, status, generation=generation)
    if first is None:
        return
    assert same_status(first, first)
    assert write(findings, first, generation=generation, now=LATER) is None
    # As the API server merges it: entries of other types stay.
    others = status.get("conditions")
    kept = [
        each
        for each in (others if isinstance(others, list) else [])
        if not isinstance(each, dict) or each.get("type") not in ("Accepted", "Programmed")
    ]
    merged = {**status, **first, "conditions": [*kept, *first["conditions"]]}
    assert write(findings, merged, generation=generation, now=LATER) is None


@given(findings=FINDINGS)
def test_messages_are_never_longer_than_their_limit(findings: tuple[Finding, ...]) -> None:
    status = written(findings)
    assert all(len(each["message"]) <= 4096 for each in status["conditions"])
    assert len(status["reason"]) <= 4096


def test_findings_that_find_no_room_are_counted() -> None:
    many = tuple(finding(message=f"mistake {number} " + "x" * 200) for number in range(50))
    *shown, last = written(many)["reason"].splitlines()
    assert last == f"and {50 - len(shown)} more: see `osm analyze`"
    assert all(line.startswith("[OSM133] spec.backends: mistake") for line in shown)
    assert 10 < len(shown) < 50
