"""What a bug report may not give away, and what it must still show."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.cli.masking import MASKED, mask, mask_text, secret_outline

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEcanary\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        KEY.replace("\n", "\\n"),
        KEY.partition("-----END")[0],
        base64.b64encode(KEY.encode()).decode(),
        "eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkifQcanary.c2lnbcanary",
        "authorization: Bearer abc.canary",
        "Authorization: Basic canary12=",
        'proxy said "token": "canary" to me',
        "VAULT_TOKEN=canary",
        "password = 'can canary'",
        "db_pass: canary",
        "postgres://admin:canary@db:5432/books",
        "set-cookie: session=canary; HttpOnly",
        "--vault-token=canary",
        "apiKey: canary",
    ],
)
def test_text_that_looks_secret_is_removed(text: str) -> None:
    masked = mask_text(f"before {text}")
    assert "canary" not in masked
    assert base64.b64encode(KEY.encode()).decode()[:40] not in masked
    assert masked.startswith("before ")
    assert MASKED in masked


@pytest.mark.parametrize(
    "text",
    [
        "authority: bookstore.bookstore:14001",
        "cluster.bookstore/bookstore|14001.upstream_rq_200: 42",
        "denied source=bookthief/bookthief destination=bookstore/bookstore port=14001 method=GET path=/",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "https://osm-controller.osm-system.svc:15128/path",
        "passthrough-outbound: warming",
        "author: jane",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


def test_fields_of_objects_are_known_by_their_names() -> None:
    masked = mask(
        {
            "metadata": {
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": '{"data": "canary"}',
                    "note": "stays",
                }
            },
            "env": [
                {"name": "SIGNING_KEY", "value": "canary"},
                {"name": "MODE", "value": "stays"},
                {"name": "A_TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
            ],
            "args": ["--vault-token", "canary", "--verbosity", "info"],
            "private_key": {"inline_bytes": "canary"},
            "volumes": [{"secret": {"secretName": "certificates"}}],
        }
    )
    assert masked == {
        "metadata": {"annotations": {"note": "stays"}},
        "env": [
            {"name": "SIGNING_KEY", "value": MASKED},
            {"name": "MODE", "value": "stays"},
            {"name": "A_TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
        ],
        "args": ["--vault-token", MASKED, "--verbosity", "info"],
        "private_key": MASKED,
        "volumes": [{"secret": {"secretName": "certificates"}}],
    }


def test_of_a_secret_only_its_outline_is_told() -> None:
    secret = {
        "metadata": {"namespace": "osm-system", "name": "osm-ca-bundle", "labels": {"a": "b"}},
        "type": "Opaque",
        "data": {"private.key": "canary", "ca.crt": "canary"},
    }
    assert secret_outline(secret) == {
        "namespace": "osm-system",
        "name": "osm-ca-bundle",
        "type": "Opaque",
        "keys": ["ca.crt", "private.key"],
    }


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_key_is_removed_whatever_stands_around_it(before: str, after: str) -> None:
    assert "MHcCAQEEcanary" not in mask_text(f"{before}\n{KEY}\n{after}")
