"""What stands in the certificates that we build."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.certificate import Root, ServerName, Subject, build_leaf, build_root
from osm.errors import IssuerError

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
BOOKSTORE = Identity("cluster.local", "bookstore", "bookstore-v1")
KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = Root(build_root(KEY, serial=7, now=NOW), KEY)
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())


def leaf(
    subject: Subject,
    *,
    root: Root = ROOT,
    now: datetime = NOW,
    validity: timedelta = timedelta(hours=24),
) -> x509.Certificate:
    return build_leaf(root, subject, LEAF_KEY.public_key(), serial=8, now=now, validity=validity)


def names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return san.get_values_for_type(x509.UniformResourceIdentifier), san.get_values_for_type(
        x509.DNSName
    )


def usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def common_name(certificate: x509.Certificate) -> str:
    (attribute,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def test_the_root_is_an_authority_of_osms_name_for_ten_years() -> None:
    root = ROOT.certificate
    assert root.subject.rfc4514_string() == "CN=osm-ca.openservicemesh.io,O=Open Service Mesh"
    assert root.issuer == root.subject
    assert root.not_valid_after_utc == NOW + timedelta(days=3650)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value.ca and constraints.value.path_length is None
    usage = root.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign and usage.crl_sign and not usage.digital_signature
    root.verify_directly_issued_by(root)


def test_a_workload_has_its_spiffe_id_and_its_dns_name_and_serves_and_calls() -> None:
    certificate = leaf(BOOKSTORE)
    assert names(certificate) == (
        ["spiffe://cluster.local/ns/bookstore/sa/bookstore-v1"],
        ["bookstore-v1.bookstore.cluster.local"],
    )
    assert common_name(certificate) == "bookstore-v1.bookstore.cluster.local"
    assert usages(certificate) == {Usage.CLIENT_AUTH, Usage.SERVER_AUTH}
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    certificate.verify_directly_issued_by(ROOT.certificate)


def test_a_bootstrap_certificate_is_worth_nothing_but_to_call_the_control_plane() -> None:
    certificate = leaf(ProxyIdentity(BOOKSTORE, "bookstore-v1-0"))
    assert names(certificate) == (
        ["spiffe://cluster.local/proxy/bookstore/bookstore-v1/bookstore-v1-0"],
        [],
    )
    assert usages(certificate) == {Usage.CLIENT_AUTH}
    assert common_name(certificate) == (
        "bookstore-v1-0.sidecar.bookstore-v1.bookstore.cluster.local"
    )


def test_the_common_name_of_a_bootstrap_certificate_is_cut_to_64_characters() -> None:
    name = common_name(leaf(ProxyIdentity(BOOKSTORE, "w" * 80)))
    assert name == "w" * 64


def test_a_workload_whose_name_is_too_long_has_no_common_name_rather_than_another_one() -> None:
    certificate = leaf(Identity("cluster.local", "bookstore", "s" * 60))
    assert not certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert names(certificate)[1] == [f"{'s' * 60}.bookstore.cluster.local"]


def test_a_server_of_the_control_plane_only_serves() -> None:
    certificate = leaf(ServerName("osm-controller.osm-system.svc.cluster.local"))
    assert names(certificate) == ([], ["osm-controller.osm-system.svc.cluster.local"])
    assert usages(certificate) == {Usage.SERVER_AUTH}


def test_a_leaf_names_the_key_of_its_root() -> None:
    certificate = leaf(BOOKSTORE)
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    root = ROOT.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert authority.key_identifier == root.digest != own.digest


def test_a_leaf_is_back_dated_by_five_minutes() -> None:
    later = NOW + timedelta(days=1)
    certificate = leaf(BOOKSTORE, now=later)
    assert certificate.not_valid_before_utc == later - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == later + timedelta(hours=24)


def test_a_leaf_never_outlives_or_precedes_its_root() -> None:
    root = Root(build_root(KEY, serial=7, now=NOW, lifetime=timedelta(hours=1)), KEY)
    certificate = leaf(BOOKSTORE, root=root)
    assert certificate.not_valid_after_utc == root.certificate.not_valid_after_utc
    assert certificate.not_valid_before_utc >= root.certificate.not_valid_before_utc


def test_an_expired_root_signs_nothing() -> None:
    with pytest.raises(IssuerError, match="expired"):
        leaf(BOOKSTORE, now=NOW + timedelta(days=3650))


@pytest.mark.parametrize(
    "subject",
    [
        Identity("cluster.local", "bookstore", "a/sa/b"),
        Identity("cluster.local", "book\0store", "a"),
        Identity("Cluster.Local", "bookstore", "a"),
        Identity("cluster.local", "..", "a"),
        Identity("cluster.local", "bookstore", "a?x=1"),
        Identity("cluster.local", "bookstore", "a%2fb"),
        Identity("", "bookstore", "a"),
        Identity("cluster.local", "bookstore", "ä"),
        ProxyIdentity(BOOKSTORE, "../other"),
        ProxyIdentity(BOOKSTORE, ""),
        ServerName("osm-controller,DNS:other"),
        ServerName("*.osm-system"),
        ServerName(""),
    ],
    ids=repr,
)
def test_a_name_that_could_be_read_in_two_ways_gets_no_certificate(subject: Subject) -> None:
    with pytest.raises(IssuerError, match="cannot stand in a certificate"):
        leaf(subject)


def test_a_root_shows_no_key_when_printed() -> None:
    assert repr(ROOT) == "Root(not_after=2036-05-01T12:00:00+00:00)"
