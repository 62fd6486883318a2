"""A small network with a proxy in it and servers that belong to no mesh, for one test.

`python -m tests.mesh.beyond DIRECTORY COMMAND…` makes namespaces of its own and becomes the command
there, a proxy. A child serves: servers on every address of 198.18.0.0/15, an application at
DIRECTORY/beyond.sock that connects where it is told, and a gateway at DIRECTORY/out.sock. Only what
this application opens is redirected to the proxy, so that the proxy itself gets out, as where OSM
redirects by user.
"""

import asyncio
import json
import os
import signal
import socket
import ssl
import struct
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from osm.local import namespaces, network
from osm.local.gateway import Gateway

APPLICATION = "240.0.0.50"
HTTP_PORTS, TLS_PORTS, ECHO_PORTS, GREETING_PORTS = (80, 8080, 8081), (443,), (5432, 9000), (25,)
NAMES = {"outside.test": "198.18.0.1", "inner.test": "198.18.0.2", "far.test": "198.18.7.7"}
SOCKET, GATEWAY = "beyond.sock", "out.sock"


def main() -> NoReturn:
    directory, command = Path(sys.argv[1]), sys.argv[2:]
    _enter(directory)
    child = os.fork()
    if not child:
        namespaces.die_with_parent(signal.SIGKILL, os.getppid())
        _serve(directory)
    os.execv(command[0], command)  # noqa: S606


def _enter(directory: Path) -> None:
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS)
    namespaces.map_user(0, uid, 0, gid)
    namespaces.keep_mounts_private()
    hosts = directory / "hosts"
    hosts.write_text("".join(f"{ip} {name}\n" for name, ip in NAMES.items()))
    namespaces.mount(str(hosts), "/etc/hosts", flags=namespaces.MS_BIND)
    network.bring_up_loopback()
    network.make_local("240.0.0.0", 4)
    network.make_local("198.18.0.0", 15)
    data, last = _redirect_of(APPLICATION, 15001)
    network._talk(network._NETLINK_NETFILTER, data, last)
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def _redirect_of(source: str, port: int) -> tuple[bytes, int]:
    """As the platform's, but by who connects: `ip protocol tcp ip saddr SOURCE redirect to :port`."""
    register = network._number(1, 1)
    load_source = (register, network._number(2, 1), network._number(3, 12), network._number(4, 4))
    load_port = network._nested(2, network._attribute(1, struct.pack(">H", port)))
    expressions = network._nested(
        4,
        network._expression("meta", register, network._number(2, 16)),
        network._compare(0, bytes([socket.IPPROTO_TCP])),
        network._expression("payload", *load_source),
        network._compare(0, socket.inet_aton(source)),
        network._expression("immediate", register, load_port),
        network._expression("redir", register),
    )
    names = network._text(1, "test") + network._text(2, "output")
    hook = network._nested(4, network._number(1, 3), network._number(2, -100))
    chain = network._text(1, "test") + network._text(3, "output") + hook + network._text(7, "nat")
    family = struct.pack(">BBH", socket.AF_INET, 0, 0)
    batch = struct.pack(">BBH", 0, 0, 10)
    create = network._ACK | network._CREATE
    messages = [
        network._message(network._BATCH_BEGIN, 0, 1, batch),
        network._message(10 << 8 | 0, create, 2, family + network._text(1, "test")),
        network._message(10 << 8 | 3, create, 3, family + chain),
        network._message(10 << 8 | 6, create, 4, family + names + expressions),
        network._message(network._BATCH_END, 0, 5, batch),
    ]
    return b"".join(messages), 4


def _serve(directory: Path) -> NoReturn:
    context = certificate(directory)
    for ports, answer in (
        (HTTP_PORTS, _answer_http),
        (TLS_PORTS, lambda c: _answer_http(context.wrap_socket(c, server_side=True))),
        (ECHO_PORTS, lambda c: c.sendall(b"echo " + c.recv(1000))),
        (GREETING_PORTS, lambda c: c.sendall(b"220 welcome")),
    ):
        for port in ports:
            listening = socket.create_server(("0.0.0.0", port))
            threading.Thread(target=_accept, args=(listening, answer), daemon=True).start()
    threading.Thread(target=asyncio.run, args=(_open_gateway(directory),), daemon=True).start()
    commands = socket.socket(socket.AF_UNIX)
    commands.bind(str(directory / SOCKET))
    commands.listen(50)
    _accept(commands, _obey)


async def _open_gateway(directory: Path) -> None:
    async with Gateway(directory / GATEWAY, tuple):
        await asyncio.Event().wait()


def _accept(listening: socket.socket, answer: Any) -> NoReturn:
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_answer, args=(connection, answer), daemon=True).start()


def _answer(connection: socket.socket, answer: Any) -> None:
    with connection, suppress(OSError):
        answer(connection)


def _answer_http(connection: socket.socket) -> None:
    """Says which address was called, for which host and path."""
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
        head += data
    lines = head.decode().split("\r\n")
    host = next((line[6:] for line in lines if line.lower().startswith("host: ")), "")
    body = f"{connection.getsockname()[0]} {host} {lines[0]}".encode()
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )


def _obey(connection: socket.socket) -> None:
    """Be the application: connect, perhaps begin TLS, send, and read to the end."""
    order = json.loads(connection.makefile().readline())
    text = ""
    try:
        plain = socket.create_connection(
            (order["ip"], order["port"]), 4, source_address=(APPLICATION, 0)
        )
        with plain:
            used: socket.socket = plain
            if order["server_name"] is not None:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                used = context.wrap_socket(plain, server_hostname=order["server_name"] or None)
            if order["data"]:
                used.sendall(order["data"].encode())
            while data := used.recv(65536):
                text += data.decode()
                if order["once"]:
                    break
        outcome = "answered" if text else "closed"
    except TimeoutError:
        outcome = "silent"
    except (OSError, ssl.SSLError):
        outcome = "answered" if text else "closed"
    connection.sendall(json.dumps([outcome, text]).encode())


def certificate(directory: Path) -> ssl.SSLContext:
    """What a server of `outside.test` shows; nobody has signed it but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "outside.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    file = directory / "outside.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


if __name__ == "__main__":
    main()
