"""What is said of pods that have no proxy of the mesh: why, and what to do."""

import msgspec
import pytest
from tests.unit.compile.pods_of_a_cluster import SHOP, asking, bare, former, own, part
from tests.unit.compile.test_pods_without_proxy import KUBERNETES, TAKING_OVER, WEB, A, B
from tests.unit.inject.pods import MESH, read

from osm.core.api.kubernetes import Namespace
from osm.core.api.proxy_kind import NoProxy, why_no_proxy
from osm.core.compile.options import CompileOptions
from osm.core.inject.decision import decide
from osm.core.inject.verdict import Inject, Leave
from osm.core.model.origin import Finding
from osm.core.model.redirection import Redirection
from osm.testing.builders import Document, Part, model, namespace


def without(document: Document, **annotations: str) -> Document:
    metadata = part(document, "metadata")
    said = {f"openservicemesh.io/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return {**document, "metadata": {**metadata, "annotations": said}}


def findings(*parts: Part, options: CompileOptions = KUBERNETES) -> list[Finding]:
    return [each for each in model(*parts, options=options).findings if each.code[:5] == "OSM22"]


def test_a_deployment_of_many_pods_is_one_finding() -> None:
    pods = [bare(f"w{number}", f"10.0.1.{number}") for number in range(200)]
    (told,) = findings(asking(), WEB, *pods)
    assert str(told) == (
        "Deployment shop/web: 200 pods have no proxy, since they were made before namespace shop asked for "
        "them: what they call in the mesh refuses them, unless an IngressBackend names them, and callers of "
        "service web get 503: nobody else answers there [OSM225]\n"
        "  Make them anew: `kubectl rollout restart deployment/web -n shop`."
    )
    (half,) = findings(asking(), WEB, *pods[:1], own(B))
    assert half.message == (
        "1 pod has no proxy, since they were made before namespace shop asked for them: what they call in "
        "the mesh refuses them, unless an IngressBackend names them"
    )
    assert findings(asking(), WEB, own(A), own(B)) == []


HOST = {**A, "spec": {**part(A, "spec"), "hostNetwork": True}}
QUIET = namespace(SHOP, monitored_by="osm")
TAKEN = asking("former", taken_over_by="osm", ignore="true")
LEFT = namespace(SHOP, monitored_by="former")


@pytest.mark.parametrize(
    ("space", "document", "options", "code", "severity", "hint"),
    [
        pytest.param(
            asking(), A, KUBERNETES, "OSM225", "warning", "Make them anew: `kubectl", id="earlier"
        ),
        pytest.param(
            asking(),
            bare("a", owner=("Job", "web")),
            KUBERNETES,
            "OSM225",
            "warning",
            "Make them anew: delete and create them.",
            id="a Job's",
        ),
        pytest.param(
            asking(),
            without(A, sidecar_injection="disabled"),
            KUBERNETES,
            "OSM225",
            "info",
            "If they are to be in the mesh, remove it from the pod's template.",
            id="its annotation",
        ),
        pytest.param(
            QUIET,
            without(A, sidecar_injection="enabled"),
            KUBERNETES,
            "OSM225",
            "warning",
            "Make them anew: `kubectl",
            id="its annotation came later",
        ),
        pytest.param(
            QUIET,
            A,
            KUBERNETES,
            "OSM225",
            "info",
            "If they are to be in the mesh: `osm namespace add shop`, and then `kubectl rollout",
            id="its namespace",
        ),
        pytest.param(
            asking(), HOST, KUBERNETES, "OSM222", "warning", "Remove hostNetwork", id="host"
        ),
        pytest.param(
            asking(), former(A), KUBERNETES, "OSM226", "warning", "Make them anew: `kub", id="OSM's"
        ),
        pytest.param(
            LEFT,
            former(A),
            TAKING_OVER,
            "OSM226",
            "info",
            "`osm namespace add shop` takes the namespace over; then `kubectl rollout restart",
            id="OSM's, before the take-over",
        ),
        pytest.param(
            TAKEN,
            former(A),
            TAKING_OVER,
            "OSM226",
            "info",
            "Make them anew",
            id="OSM's, taken over",
        ),
        pytest.param(
            TAKEN, A, TAKING_OVER, "OSM225", "warning", "Make them anew", id="none, taken over"
        ),
        pytest.param(
            LEFT, A, TAKING_OVER, "OSM225", "info", "If they are to be in the mesh", id="none, left"
        ),
    ],
)
def test_each_cause_has_its_remedy(
    space: Document,
    document: Document,
    options: CompileOptions,
    code: str,
    severity: str,
    hint: str,
) -> None:
    (told,) = findings(space, document, options=options)
    assert (told.code, told.severity.value) == (code, severity)
    assert told.hint.startswith(hint), told.hint
    assert told.origin is not None and told.origin.name == "web"


CAUSES: list[tuple[Document, Document]] = [
    (asking(), A),
    (asking(), without(A, sidecar_injection="false")),
    (asking(), without(A, sidecar_injection="YES")),
    (asking(), HOST),
    (QUIET, A),
    (QUIET, without(A, sidecar_injection="enabled")),
    (namespace(SHOP, monitored_by="osm", ignore="true"), A),
    (namespace(SHOP, monitored_by="another"), A),
    (TAKEN, A),
    (TAKEN, without(A, sidecar_injection="disabled")),
    (LEFT, A),
]


@pytest.mark.parametrize(("space", "document"), CAUSES)
def test_the_cause_agrees_with_injection(space: Document, document: Document) -> None:
    """`osm check` asks injection whether a pod should have a proxy; findings ask for the cause."""
    home = msgspec.convert(space, Namespace)
    mesh = msgspec.structs.replace(MESH, former="former")
    verdict = decide(read(document), home, mesh, Redirection(), native=True)
    metadata = part(document, "metadata")
    why = why_no_proxy(
        metadata.get("annotations") or {},
        home.metadata,
        mesh.name,
        mesh.former,
        host_network=bool(part(document, "spec").get("hostNetwork")),
    )
    assert isinstance(verdict, Inject if why is NoProxy.EARLIER else Leave), (verdict, why)
