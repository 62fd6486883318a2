"""Row W5: what is no review of an API server is refused, and nothing else happens."""

import json

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.unit.admission.reviews import UID, Response, injector, review, validator
from tests.unit.admission.serving import Answered, request, serving
from tests.unit.inject.pods import container, pod

from osm.kubernetes.webhook_connection import Answer

POD = {"group": "", "version": "v1", "kind": "Pod"}


def text(posted: object) -> bytes:
    return json.dumps(posted).encode()


def without(*names: str) -> bytes:
    posted = review()
    for name in names:
        del posted["request"][name]
    return text(posted)


def top(**fields: object) -> bytes:
    return text(review() | fields)


def asking(**fields: object) -> bytes:
    return text(review(**fields))


def of(document: object) -> bytes:
    posted = review()
    posted["request"]["object"] = document
    return text(posted)


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b"  \n",
    "no JSON": b"kind: AdmissionReview",
    "half of it": text(review())[:-40],
    "two of them": text(review()) * 2,
    "a byte order mark": b"\xef\xbb\xbf" + text(review()),
    "UTF-16": json.dumps(review()).encode("utf-16"),
    "no UTF-8": text(review()).replace(b"shop", b"\xff\xfe"),
    "half a character": text(review()).replace(b"admin", b"\\ud800"),
    "null": b"null",
    "a list": b"[]",
    "a number": b"1e400",
    "an empty object": b"{}",
    "NaN": b'{"apiVersion": NaN}',
    "nested 10,000 times": b"[" * 10_000 + b"]" * 10_000,
    "a pod nested 10,000 times": text(review()).replace(
        b'"app"', b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 1
    ),
    "no apiVersion": text({k: v for k, v in review().items() if k != "apiVersion"}),
    "version v1beta1": top(apiVersion="admission.k8s.io/v1beta1"),
    "version v2": top(apiVersion="admission.k8s.io/v2"),
    "another kind": top(kind="TokenReview"),
    "no request": top(request=None),
    "a request that is text": top(request="please"),
    "an answer instead": top(request={}, response={"uid": UID, "allowed": True}),
    "no uid": without("uid"),
    "an empty uid": asking(uid=""),
    "a uid with a line break": asking(uid="a\nb"),
    "a uid that ends with a line break": asking(uid=f"{UID}\n"),
    "a uid of a megabyte": asking(uid="a" * 1_000_000),
    "a uid that is a number": asking(uid=1),
    "no kind": without("kind"),
    "kind null": asking(kind=None),
    "group null": asking(kind=POD | {"group": None}),
    "a kind of a megabyte": asking(kind=POD | {"kind": "P" * 1_000_000}),
    "no operation": without("operation"),
    "an operation that nobody knows": asking(operation="DESTROY"),
    "a namespace that is a list": asking(namespace=["shop"]),
    "no pod": without("object"),
    "pod null": of(None),
    "a pod that is text": of("pod"),
    "a pod that is a list": of([pod()]),
    "an empty pod": of({}),
    "a pod without spec": of({"apiVersion": "v1", "kind": "Pod", "metadata": {}}),
    "a spec that is null": of({**pod(), "spec": None}),
    "containers null": of(pod(containers=None)),
    "containers that are no list": of(pod(containers={"app": 1})),
    "a container that is null": of(pod(containers=[None])),
    "a port that is text": of(pod(container(ports=[{"containerPort": "80"}]))),
    "annotations that are numbers": of({**pod(), "metadata": {"annotations": {"a": 1}}}),
    "annotations that are a list": of({**pod(), "metadata": {"annotations": []}}),
    "metadata that is text": of({**pod(), "metadata": "app"}),
    "a probe that is a list": of(pod(container(livenessProbe=[]))),
    "hostNetwork that is text": of(pod(hostNetwork="false")),
    "a user that is text": of(pod(container(securityContext={"runAsUser": "1500"}))),
    "no namespace": without("namespace"),
    "an empty namespace": asking(namespace=""),
    "a namespace with a way out": asking(namespace="../../api/v1/secrets"),
    "a namespace of a megabyte": asking(namespace="n" * 1_000_000),
    "a namespace that is not there": asking(namespace="elsewhere"),
    "a Deployment": asking(kind={"group": "apps", "version": "v1", "kind": "Deployment"}),
    "a kind that nobody knows": asking(kind=POD | {"kind": "Podd"}),
}


def is_refused(found: Answered) -> bool:
    if 400 <= found.status < 500:
        return True
    response = msgspec.convert(json.loads(found.body)["response"], Response)
    code = response.status["code"]
    return (
        found.status == 200 and response.uid == UID and not response.allowed and 400 <= code < 500
    )


WEBHOOKS = pytest.mark.parametrize(
    "answer", [injector(), validator()], ids=["injector", "validator"]
)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@WEBHOOKS
async def test_a_body_that_is_none_is_refused(body: bytes, answer: Answer) -> None:
    async with serving(answer) as running:
        with capture_logs() as logs:
            found = await running.post(body)
        assert is_refused(found), found
        assert not [each for each in logs if "exc_info" in each], "nobody made a mistake here"
        assert b"Traceback" not in found.body and b"/src/" not in found.body
        assert (await running.post(text(review()))).status == 200


# API servers look at these themselves, after us.
NOT_OURS = {
    "a container without name": of(pod(containers=[{}])),
    "a port of 400 digits": of(pod(container(ports=[{"containerPort": 10**400}]))),
    "a name without characters": of(pod(container(""))),
    "no UTF-8 in what nobody reads": text(review()).replace(b"admin", b"\xff\xfe"),
}


@pytest.mark.parametrize("body", NOT_OURS.values(), ids=NOT_OURS)
@WEBHOOKS
async def test_what_is_not_ours_to_judge_does_no_harm(body: bytes, answer: Answer) -> None:
    with capture_logs() as logs:
        found = msgspec.json.decode(await answer(body))["response"]
    assert found["uid"] == UID
    assert not [each for each in logs if "exc_info" in each]


REQUESTS: dict[str, tuple[bytes, int]] = {
    "GET": (request(method="GET"), 405),
    "PUT": (request(b"{}", method="PUT"), 405),
    "DELETE": (request(method="DELETE"), 405),
    "OPTIONS": (request(method="OPTIONS"), 405),
    "POST of health": (request(b"{}", path="/healthz"), 405),
    "another path": (request(b"{}", path="/mutate"), 404),
    "the path and more": (request(b"{}", path="/mutate-pod-creation/x"), 404),
    "the path in capitals": (request(b"{}", path="/MUTATE-POD-CREATION"), 404),
    "a whole URL": (request(b"{}", path="https://a/mutate-pod-creation"), 404),
    "no content type": (request(b"{}", content_type="none"), 415),
    "YAML": (request(b"{}", content_type="application/yaml"), 415),
    "protobuf": (request(b"k8s", content_type="application/vnd.kubernetes.protobuf"), 415),
    "a form": (request(b"a=b", content_type="application/x-www-form-urlencoded"), 415),
    "compressed": (request(b"\x1f\x8b", content_encoding="gzip"), 415),
    "10 MB announced": (request(b"{", content_length="10485760"), 413),
    "no length that is one": (request(b"{}", content_length="-1"), 400),
    "two lengths": (request(b"{}", content_length="2\r\ncontent-length: 3"), 400),
    "another encoding": (request(b"{}", content_length="none", transfer_encoding="br"), 400),
    "no host": (request(b"{}", host="none"), 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", 400),
    "noise": (bytes(range(1, 256)) + b"\r\n\r\n", 400),
    "a header of 100 KB": (request(b"{}", x_long="y" * 100_000), 431),
    "a header without end": (b"POST / HTTP/1.1\r\nx: " + b"y" * 200_000, 431),
    "chunks that are none": (
        request(b"zz\r\n", content_length="none", transfer_encoding="chunked"),
        400,
    ),
}


@pytest.mark.parametrize(("sent", "status"), REQUESTS.values(), ids=REQUESTS)
async def test_a_request_that_is_none_is_refused(sent: bytes, status: int) -> None:
    async with serving(injector()) as running:
        with capture_logs() as logs:
            found = await running.send(sent)
        assert found.status == status
        assert logs == []
        assert (await running.post(text(review()))).status == 200


async def test_ten_megabytes_are_refused_and_the_sender_is_told_so() -> None:
    async with serving(injector()) as running:
        assert (await running.post(b" " * 10 * 1024 * 1024)).status == 413
        large = review()
        large["request"]["object"]["metadata"]["annotations"] = {"a": "x" * 2_900_000}
        assert (await running.post(text(large))).status == 200, "just below the limit"
