"""Whom a presented certificate names: forged ones name nobody."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID, ObjectIdentifier

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.certificate import Root, build_leaf, build_root
from osm.core.pki.trust import Reason, Refused, TrustBundle
from osm.errors import IssuerError

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
BUYER = Identity("cluster.local", "bookbuyer", "bookbuyer")
PROXY = ProxyIdentity(BUYER, "bookbuyer-0")
HOUR = timedelta(hours=1)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def new_root(now: datetime = NOW) -> Root:
    key = ec.generate_private_key(ec.SECP256R1())
    return Root(build_root(key, serial=x509.random_serial_number(), now=now), key)


ROOT = new_root()
OTHER_ROOT = new_root()
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_2048 = rsa.generate_private_key(65537, 2048)
RSA_1024 = rsa.generate_private_key(65537, 1024)
TRUST = TrustBundle([ROOT.certificate], ["cluster.local"])


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def uri(value: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier._init_without_validation(value)


def forge(
    *,
    root: Root = ROOT,
    key: Key = LEAF_KEY,
    names: list[x509.GeneralName] | None = None,
    common_name: str = BUYER.dns_name,
    not_before: datetime = NOW - HOUR,
    not_after: datetime = NOW + HOUR,
    authority: bool = False,
    usages: list[ObjectIdentifier] | None = None,
    digital_signature: bool = True,
    without: type[x509.ExtensionType] | None = None,
    issuer: x509.Name | None = None,
) -> x509.Certificate:
    """Build a certificate that differs from a good one in what is given."""
    if names is None:
        names = [uri(PROXY.spiffe_id)]
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer or root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(root.key.public_key())
    extensions: list[x509.ExtensionType] = [
        x509.BasicConstraints(ca=authority, path_length=None),
        x509.KeyUsage(digital_signature=digital_signature, key_cert_sign=authority, **usage),
        x509.ExtendedKeyUsage(usages or [Usage.CLIENT_AUTH, Usage.SERVER_AUTH]),
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
    ]
    if names:
        extensions.append(x509.SubjectAlternativeName(names))
    for extension in extensions:
        if not isinstance(extension, without or ()):
            critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
            builder = builder.add_extension(extension, critical=critical)
    return builder.sign(root.key, hashes.SHA256())


def self_signed() -> x509.Certificate:
    mine = Root(ROOT.certificate, LEAF_KEY)
    return forge(root=mine, issuer=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")]))


def through_a_leaf() -> bytes:
    """A workload signs a certificate for somebody else with its own leaf."""
    middle = forge(names=[uri(BUYER.spiffe_id)])
    end_key = ec.generate_private_key(ec.SECP256R1())
    end = forge(root=Root(middle, LEAF_KEY), key=end_key)
    return pem(end, middle)


def broken_signature() -> bytes:
    der = bytearray(forge().public_bytes(Encoding.DER))
    der[-5] ^= 1
    return pem(x509.load_der_x509_certificate(bytes(der)))


def signed_by(algorithm: bytes) -> x509.Certificate:
    """Claim another signature algorithm, by its object identifier."""
    ecdsa_with_sha256 = b"\x2a\x86\x48\xce\x3d\x04\x03\x02"
    der = forge().public_bytes(Encoding.DER)
    return x509.load_der_x509_certificate(der.replace(ecdsa_with_sha256, algorithm))


def unknown_curve() -> bytes:
    p256 = b"\x2a\x86\x48\xce\x3d\x03\x01\x07"
    der = forge().public_bytes(Encoding.DER)
    return pem(x509.load_der_x509_certificate(der.replace(p256, p256[:-1] + b"\x7f")))


def names_case(*values: str, reason: Reason = Reason.NAMES) -> tuple[Callable[[], bytes], Reason]:
    return lambda: pem(forge(names=[uri(value) for value in values])), reason


S = "spiffe://cluster.local/proxy/bookbuyer/bookbuyer/bookbuyer-0"
FORGED: dict[str, tuple[Callable[[], bytes], Reason]] = {
    "no certificate": (lambda: b"", Reason.NONE),
    "garbage": (
        lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        Reason.MALFORMED,
    ),
    "not PEM": (lambda: b"\0\1\2", Reason.MALFORMED),
    "a chain of a hundred": (lambda: pem(*[forge()] * 100), Reason.MALFORMED),
    "a megabyte": (lambda: pem(forge()) + b"\n" * 1_000_000, Reason.MALFORMED),
    "self-signed": (lambda: pem(self_signed()), Reason.UNTRUSTED),
    "other authority of the same name": (lambda: pem(forge(root=OTHER_ROOT)), Reason.UNTRUSTED),
    "other authority brought along": (
        lambda: pem(forge(root=OTHER_ROOT), OTHER_ROOT.certificate),
        Reason.UNTRUSTED,
    ),
    "claims our issuer, signed by itself": (
        lambda: pem(forge(root=Root(ROOT.certificate, LEAF_KEY))),
        Reason.UNTRUSTED,
    ),
    "broken signature": (broken_signature, Reason.UNTRUSTED),
    "signed by a leaf": (through_a_leaf, Reason.UNTRUSTED),
    "a workload's leaf": (
        lambda: pem(forge(names=[uri(BUYER.spiffe_id), x509.DNSName(BUYER.dns_name)])),
        Reason.WRONG_KIND,
    ),
    "expired": (lambda: pem(forge(not_after=NOW - timedelta(seconds=1))), Reason.EXPIRED),
    "not yet valid": (
        lambda: pem(forge(not_before=NOW + timedelta(seconds=1))),
        Reason.NOT_YET_VALID,
    ),
    "an authority": (lambda: pem(forge(authority=True)), Reason.IS_AUTHORITY),
    "the root itself": (lambda: pem(ROOT.certificate), Reason.IS_AUTHORITY),
    "for servers only": (lambda: pem(forge(usages=[Usage.SERVER_AUTH])), Reason.WRONG_USAGE),
    "for signing code": (lambda: pem(forge(usages=[Usage.CODE_SIGNING])), Reason.WRONG_USAGE),
    "without extended key usage": (
        lambda: pem(forge(without=x509.ExtendedKeyUsage)),
        Reason.WRONG_USAGE,
    ),
    "without key usage": (lambda: pem(forge(without=x509.KeyUsage)), Reason.WRONG_USAGE),
    "without digital signature": (lambda: pem(forge(digital_signature=False)), Reason.WRONG_USAGE),
    "RSA-1024": (lambda: pem(forge(key=RSA_1024)), Reason.WEAK),
    "Ed25519": (lambda: pem(forge(key=ed25519.Ed25519PrivateKey.generate())), Reason.WEAK),
    "a curve of 192 bits": (
        lambda: pem(forge(key=ec.generate_private_key(ec.SECP192R1()))),
        Reason.WEAK,
    ),
    "a hash of 224 bits": (
        lambda: pem(signed_by(b"\x2a\x86\x48\xce\x3d\x04\x03\x01")),
        Reason.WEAK,
    ),
    "an unknown hash": (
        lambda: pem(signed_by(b"\x2a\x86\x48\xce\x3d\x04\x03\x7f")),
        Reason.MALFORMED,
    ),
    "an unknown curve": (
        unknown_curve,
        Reason.MALFORMED,
    ),
    "no alternative names": (lambda: pem(forge(names=[])), Reason.UNTRUSTED),
    "two URIs": names_case(S, S.replace("bookbuyer-0", "bookstore-0")),
    "the same URI twice": names_case(S, S),
    "no URI": (lambda: pem(forge(names=[x509.DNSName(BUYER.dns_name)])), Reason.NAMES),
    "an address besides": (
        lambda: pem(forge(names=[uri(S), x509.RFC822Name("a@example.com")])),
        Reason.NAMES,
    ),
    "somebody's DNS name besides": (
        lambda: pem(forge(names=[uri(S), x509.DNSName("osm-controller.osm-system.svc")])),
        Reason.NAMES,
    ),
    "scheme https": names_case(S.replace("spiffe", "https")),
    "scheme in upper case": names_case(S.replace("spiffe", "SPIFFE")),
    "trust domain in upper case": names_case(S.replace("cluster.local", "Cluster.Local")),
    "other trust domain": names_case(
        S.replace("cluster.local", "evil.example"), reason=Reason.TRUST_DOMAIN
    ),
    "trust domain with a port": names_case(S.replace("cluster.local", "cluster.local:80")),
    "trust domain with a user": names_case(S.replace("cluster.local", "a@cluster.local")),
    "NUL in the name": names_case(S.replace("bookbuyer-0", "bookbuyer-0\0.evil")),
    "line end in the name": names_case(S + "\n"),
    "escape in the name": names_case(S.replace("bookbuyer-0", "%62ookbuyer-0")),
    "dots for the workload": names_case(S.replace("bookbuyer-0", "..")),
    "slash at the end": names_case(S + "/"),
    "two slashes": names_case(S.replace("/proxy/", "//proxy/")),
    "query": names_case(S + "?a=b"),
    "fragment": names_case(S + "#a"),
    "a part too many": names_case(S + "/x"),
    "an empty part": names_case("spiffe://cluster.local/proxy/bookbuyer//bookbuyer-0"),
    "other path": names_case("spiffe://cluster.local/workload/bookbuyer"),
    "very long": names_case(S + "x" * 5000),
}


@pytest.mark.parametrize(("build", "reason"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_certificate_names_no_proxy(build: Callable[[], bytes], reason: Reason) -> None:
    answer = TRUST.authenticate_proxy(build(), NOW)
    assert isinstance(answer, Refused)
    assert answer.reason == reason


@pytest.mark.parametrize(
    "build", [b for b, _ in FORGED.values() if b is not FORGED["a workload's leaf"][0]]
)
def test_a_forged_certificate_names_no_workload(build: Callable[[], bytes]) -> None:
    assert isinstance(TRUST.authenticate_workload(build(), NOW), Refused)


def test_what_we_build_is_believed() -> None:
    key = LEAF_KEY.public_key()
    proxy = build_leaf(ROOT, PROXY, key, serial=1, now=NOW, validity=HOUR)
    workload = build_leaf(ROOT, BUYER, key, serial=2, now=NOW, validity=HOUR)
    assert TRUST.authenticate_proxy(pem(proxy), NOW) == PROXY
    assert TRUST.authenticate_workload(pem(workload), NOW) == BUYER


def test_the_forgeries_differ_from_a_certificate_that_is_believed() -> None:
    assert TRUST.authenticate_proxy(pem(forge()), NOW) == PROXY
    assert TRUST.authenticate_proxy(pem(forge(key=RSA_2048)), NOW) == PROXY


def test_a_bootstrap_certificate_is_no_workloads() -> None:
    answer = TRUST.authenticate_workload(pem(forge()), NOW)
    assert isinstance(answer, Refused) and answer.reason == Reason.WRONG_KIND


def test_a_workloads_common_name_must_be_its_own() -> None:
    names = [uri(BUYER.spiffe_id), x509.DNSName(BUYER.dns_name)]
    good = forge(names=names)
    assert TRUST.authenticate_workload(pem(good), NOW) == BUYER
    for common_name in (
        "other.bookbuyer.cluster.local",
        BUYER.dns_name + "\0",
        BUYER.dns_name + ".",
    ):
        answer = TRUST.authenticate_workload(pem(forge(names=names, common_name=common_name)), NOW)
        assert isinstance(answer, Refused) and answer.reason == Reason.NAMES


def test_a_root_that_was_taken_out_of_the_bundle_is_not_believed() -> None:
    certificate = pem(forge())
    both = TrustBundle.from_pem(pem(ROOT.certificate, OTHER_ROOT.certificate), ["cluster.local"])
    after = TrustBundle.from_pem(pem(OTHER_ROOT.certificate), ["cluster.local"])
    assert both.authenticate_proxy(certificate, NOW) == PROXY
    answer = after.authenticate_proxy(certificate, NOW)
    assert isinstance(answer, Refused) and answer.reason == Reason.UNTRUSTED


def test_an_intermediate_authority_is_followed_to_the_root() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    middle = forge(
        key=key, authority=True, names=[x509.DNSName("middle.example")], common_name="middle"
    )
    end = forge(root=Root(middle, key))
    assert TRUST.authenticate_proxy(pem(end, middle), NOW) == PROXY
    assert isinstance(TRUST.authenticate_proxy(pem(end), NOW), Refused)


@pytest.mark.parametrize(
    "bundle", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----"]
)
def test_a_bundle_without_a_readable_root_is_an_error(bundle: bytes) -> None:
    with pytest.raises(IssuerError, match="trust bundle"):
        TrustBundle.from_pem(bundle, ["cluster.local"])
