"""Tresor: one root per directory, guarded, never overwritten."""

import multiprocessing
import os
import re
import signal
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.certificate import Root, ServerName, build_leaf, build_root
from osm.core.pki.trust import TrustBundle
from osm.errors import IssuerError
from osm.issuers.answer import check_answer
from osm.issuers.tresor import Tresor
from osm.testing.clock import FakeClock

BUYER = Identity("cluster.local", "bookbuyer", "bookbuyer")
KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def open_tresor(directory: Path, now: datetime = NOW) -> Tresor:
    return Tresor.open(
        directory,
        trust_domain="cluster.local",
        leaf_validity=timedelta(hours=24),
        clock=FakeClock(now),
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def key_pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def root_pem(key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    return build_root(key, serial=1, now=NOW).public_bytes(Encoding.PEM)


def leaf_pem() -> bytes:
    root = Root(build_root(KEY, serial=1, now=NOW), KEY)
    leaf = build_leaf(root, BUYER, KEY.public_key(), serial=2, now=NOW, validity=timedelta(days=1))
    return leaf.public_bytes(Encoding.PEM)


def fill(directory: Path, certificate: bytes | None, key: bytes | None) -> None:
    directory.mkdir(mode=0o700)
    for name, content, permissions in (("ca.crt", certificate, 0o644), ("ca.key", key, 0o600)):
        if content is not None:
            (directory / name).write_bytes(content)
            (directory / name).chmod(permissions)


def test_the_first_start_creates_a_root_that_only_we_can_read(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "ca"
    before = os.umask(0)
    try:
        open_tresor(directory)
    finally:
        os.umask(before)
    assert (mode(directory), mode(directory / "ca.key"), mode(directory / "ca.crt")) == (
        0o700,
        0o600,
        0o644,
    )
    assert sorted(path.name for path in directory.iterdir()) == ["ca.crt", "ca.key"]


def test_a_tight_umask_does_not_lock_us_out(tmp_path: Path) -> None:
    before = os.umask(0o377)
    try:
        (tmp_path / "ca").mkdir(0o700)
        (tmp_path / "ca").chmod(0o700)
        open_tresor(tmp_path / "ca")
    finally:
        os.umask(before)
    assert mode(tmp_path / "ca" / "ca.key") == 0o600


def test_the_second_start_uses_the_same_root(tmp_path: Path) -> None:
    assert open_tresor(tmp_path / "ca").trust_bundle == open_tresor(tmp_path / "ca").trust_bundle


async def test_what_it_issues_is_believed_by_whoever_has_its_bundle(tmp_path: Path) -> None:
    tresor = open_tresor(tmp_path / "ca")
    trust = TrustBundle.from_pem(tresor.trust_bundle, ["cluster.local"])
    workload = await tresor.issue(BUYER)
    proxy = await tresor.issue(ProxyIdentity(BUYER, "bookbuyer-0"))
    server = await tresor.issue_server("osm-controller.osm-system.svc")
    assert trust.authenticate_workload(workload.certificate, NOW) == BUYER
    assert trust.authenticate_proxy(proxy.certificate, NOW) == ProxyIdentity(BUYER, "bookbuyer-0")
    check_answer(server, ServerName("osm-controller.osm-system.svc"), tresor.trust_bundle, NOW)
    assert workload.not_after == NOW + timedelta(hours=24)
    assert proxy.not_after == NOW + timedelta(hours=24)


async def test_a_private_key_is_pkcs8_and_belongs_to_its_certificate(tmp_path: Path) -> None:
    pair = await open_tresor(tmp_path / "ca").issue(BUYER)
    assert pair.private_key.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    key = load_pem_private_key(pair.private_key, None)
    assert x509.load_pem_x509_certificate(pair.certificate).public_key() == key.public_key()


async def test_serial_numbers_and_keys_are_never_the_same(tmp_path: Path) -> None:
    tresor = open_tresor(tmp_path / "ca")
    pairs = [await tresor.issue(BUYER) for _ in range(50)]
    assert len({x509.load_pem_x509_certificate(p.certificate).serial_number for p in pairs}) == 50
    assert len({p.private_key for p in pairs}) == 50


async def test_another_trust_domain_gets_no_certificate(tmp_path: Path) -> None:
    tresor = open_tresor(tmp_path / "ca")
    other = Identity("evil.example", "bookbuyer", "bookbuyer")
    for who in (other, ProxyIdentity(other, "bookbuyer-0")):
        with pytest.raises(IssuerError, match="trust domain"):
            await tresor.issue(who)


async def test_leaves_end_with_the_root(tmp_path: Path) -> None:
    tresor = open_tresor(tmp_path / "ca")
    late = open_tresor(tmp_path / "ca", tresor.root_expires - timedelta(hours=1))
    assert (await late.issue(BUYER)).not_after == tresor.root_expires


def test_an_rsa_root_that_somebody_brought_along_is_used(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    fill(tmp_path / "ca", certificate.public_bytes(Encoding.PEM), key_pem(key))
    assert open_tresor(tmp_path / "ca").trust_bundle == certificate.public_bytes(Encoding.PEM)


BROKEN: dict[str, tuple[bytes | None, bytes | None, str]] = {
    "the key of another root": (
        root_pem(),
        key_pem(ec.generate_private_key(ec.SECP256R1())),
        "does not belong",
    ),
    "no key": (root_pem(), None, "ca.key is missing"),
    "an empty certificate": (b"", key_pem(KEY), "exactly one self-signed certificate"),
    "half a certificate": (root_pem()[:300], key_pem(KEY), "exactly one self-signed certificate"),
    "two certificates": (root_pem() * 2, key_pem(KEY), "exactly one self-signed certificate"),
    "a leaf": (leaf_pem(), key_pem(KEY), "self-signed|authority"),
    "an empty key": (root_pem(), b"", "unencrypted private key"),
    "half a key": (root_pem(), key_pem(KEY)[:100], "unencrypted private key"),
    "an encrypted key": (
        root_pem(),
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "unencrypted private key",
    ),
    "a key of a kind that Envoy does not take": (
        root_pem(),
        key_pem(ed25519.Ed25519PrivateKey.generate()),
        "elliptic curve key, or RSA",
    ),
    "only garbage for a key": (None, b"garbage", "unencrypted private key"),
    "only an RSA key": (
        None,
        key_pem(rsa.generate_private_key(65537, 2048)),
        "not a key that we made",
    ),
}


@pytest.mark.parametrize(("certificate", "key", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_files_that_do_not_fit_are_refused_and_left_alone(
    tmp_path: Path, certificate: bytes | None, key: bytes | None, why: str
) -> None:
    fill(tmp_path / "ca", certificate, key)
    before = {path.name: path.read_bytes() for path in (tmp_path / "ca").iterdir()}
    with pytest.raises(IssuerError, match=why) as caught:
        open_tresor(tmp_path / "ca")
    assert {path.name: path.read_bytes() for path in (tmp_path / "ca").iterdir()} == before
    assert str(tmp_path / "ca") in caught.value.message
    assert caught.value.hint


def test_a_start_that_died_between_the_two_files_is_finished(tmp_path: Path) -> None:
    fill(tmp_path / "ca", None, key_pem(KEY))
    tresor = open_tresor(tmp_path / "ca")
    (root,) = x509.load_pem_x509_certificates(tresor.trust_bundle)
    assert root.public_key() == KEY.public_key()
    assert (tmp_path / "ca" / "ca.key").read_bytes() == key_pem(KEY)


def test_an_expired_root_is_refused_and_left_alone(tmp_path: Path) -> None:
    expires = open_tresor(tmp_path / "ca").root_expires
    before = (tmp_path / "ca" / "ca.crt").read_bytes()
    with pytest.raises(IssuerError, match="expired at"):
        open_tresor(tmp_path / "ca", expires)
    assert (tmp_path / "ca" / "ca.crt").read_bytes() == before


def loosen(name: str, permissions: int) -> Callable[[Path], None]:
    return lambda directory: (directory / name).chmod(permissions)


def replace_by_link(name: str) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        (directory / name).rename(directory.parent / name)
        (directory / name).symlink_to(directory.parent / name)

    return change


def link_directory(directory: Path) -> None:
    directory.rename(directory.parent / "real")
    directory.symlink_to(directory.parent / "real")


def make_pipe(directory: Path) -> None:
    (directory / "ca.key").unlink()
    os.mkfifo(directory / "ca.key", 0o600)


def make_directory(directory: Path) -> None:
    (directory / "ca.key").unlink()
    (directory / "ca.key").mkdir(0o700)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(loosen(".", 0o750), "open to others .mode 0750", id="directory for the group"),
        pytest.param(loosen(".", 0o701), "open to others .mode 0701", id="directory for the world"),
        pytest.param(loosen("ca.key", 0o640), "open to others .mode 0640", id="key for the group"),
        pytest.param(loosen("ca.key", 0o602), "open to others .mode 0602", id="key for writers"),
        pytest.param(
            loosen("ca.crt", 0o664), "open to others .mode 0664", id="certificate for writers"
        ),
        pytest.param(replace_by_link("ca.key"), "cannot be opened", id="key is a link"),
        pytest.param(replace_by_link("ca.crt"), "cannot be opened", id="certificate is a link"),
        pytest.param(link_directory, "cannot be used", id="directory is a link"),
        pytest.param(make_pipe, "not a regular file", id="key is a pipe"),
        pytest.param(make_directory, "not a regular file", id="key is a directory"),
    ],
)
def test_a_place_that_others_can_reach_is_refused(
    tmp_path: Path, change: Callable[[Path], None], why: str
) -> None:
    open_tresor(tmp_path / "ca")
    change(tmp_path / "ca")
    with pytest.raises(IssuerError, match=why) as caught:
        open_tresor(tmp_path / "ca")
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", [".", "ca.key", "ca.crt"])
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, name: str) -> None:
    open_tresor(tmp_path / "ca")
    os.chown(tmp_path / "ca" / name, 65534, -1)
    with pytest.raises(IssuerError, match="belongs to user 65534"):
        open_tresor(tmp_path / "ca")


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("x")
    with pytest.raises(IssuerError, match="cannot be used"):
        open_tresor(tmp_path / "ca")


def test_no_message_or_repr_shows_a_private_key(tmp_path: Path) -> None:
    secret = key_pem(KEY).split(b"\n")[1].decode()
    fill(tmp_path / "ca", root_pem(), key_pem(KEY).replace(b"PRIVATE", b"PUBLIC"))
    with pytest.raises(IssuerError) as caught:
        open_tresor(tmp_path / "ca")
    error: BaseException | None = caught.value
    assert error is not None and error.__cause__ is None
    assert not re.search(re.escape(secret[:20]), f"{caught.value!r}{caught.value.hint}")


def _race(directory: Path, barrier: "multiprocessing.synchronize.Barrier", answers: object) -> None:
    barrier.wait()
    bundle = open_tresor(directory).trust_bundle
    answers.put(bundle)  # type: ignore[attr-defined]


def test_processes_that_start_at_once_agree_on_one_root(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for round_number in range(10):
        directory = tmp_path / str(round_number)
        barrier, answers = context.Barrier(4), context.Queue()
        processes = [
            context.Process(target=_race, args=(directory, barrier, answers)) for _ in range(4)
        ]
        for process in processes:
            process.start()
        bundles = {answers.get(timeout=20) for _ in processes}
        for process in processes:
            process.join(20)
        assert len(bundles) == 1
        assert sorted(path.name for path in directory.iterdir()) == ["ca.crt", "ca.key"]


def test_a_start_that_is_killed_at_any_moment_leaves_a_root_or_none(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for step in range(12):
        directory = tmp_path / str(step)
        process = context.Process(target=_die_at, args=(directory, step))
        process.start()
        process.join(20)
        assert process.exitcode in (0, -signal.SIGKILL)
        bundle = open_tresor(directory).trust_bundle
        assert open_tresor(directory, datetime.now(UTC) + timedelta(hours=1)).trust_bundle == bundle
        assert sorted(path.name for path in directory.iterdir()) == ["ca.crt", "ca.key"]


def _die_at(directory: Path, step: int) -> None:
    """Kill ourselves at the n-th system call that changes the directory."""
    calls = 0
    for name in ("link", "unlink", "fsync", "fchmod"):
        real = getattr(os, name)

        def counted(*args: object, _real: Callable[..., None] = real, **kwargs: object) -> None:
            nonlocal calls
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1
            _real(*args, **kwargs)

        setattr(os, name, counted)
    open_tresor(directory)
