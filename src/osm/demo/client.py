"""A small HTTP client: one request, one answer, never later than its timeout.

It obeys `HTTP_PROXY` and `NO_PROXY`, by which programs reach the mesh where nothing is redirected.
"""

import contextlib
import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from osm.demo.settings import Environment

TIMEOUT_S = 2.0
LARGEST_ANSWER = 1 << 16
NO_ANSWER = "no answer in time"


class Answer(NamedTuple):
    """An answer; `status` is 0, and `error` says why, when there was none.

    Names of headers are in lower case.
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    error: str = ""


def fetch(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    environment: Environment,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send one request on its own connection and return the answer. Follow no redirect."""
    place = urlsplit(url)
    host, port = place.hostname or "", place.port or (443 if place.scheme == "https" else 80)
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    proxy = proxy_of(url, environment)
    peer = proxy or (host, port)
    connection: http.client.HTTPConnection
    if place.scheme == "https":
        connection = http.client.HTTPSConnection(*peer, timeout=timeout_s)
        if proxy:
            connection.set_tunnel(host, port)
    else:
        connection = http.client.HTTPConnection(*peer, timeout=timeout_s)
        if proxy:
            target = f"http://{place.netloc}{target}"
    late = threading.Event()
    alarm: threading.Timer | None = None
    begun = time.monotonic()
    try:
        connection.connect()
        # The socket's own timeout starts anew with every byte that arrives; this one does not.
        left_s = max(0.0, timeout_s - (time.monotonic() - begun))
        alarm = threading.Timer(left_s, _hang_up, (connection.sock, late))
        alarm.daemon = True
        alarm.start()
        own_host = any(name.lower() == "host" for name in headers)
        connection.putrequest(method, target, skip_host=own_host, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read(LARGEST_ANSWER)
        if late.is_set():  # what was read may be a part only
            return Answer(0, error=NO_ANSWER)
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, content)
    except (OSError, http.client.HTTPException, ValueError) as failure:
        return Answer(0, error=NO_ANSWER if late.is_set() else _reason(failure))
    finally:
        if alarm is not None:
            alarm.cancel()
        connection.close()


def proxy_of(url: str, environment: Environment) -> tuple[str, int] | None:
    """Return address and port of the proxy that the environment prescribes for a URL, if any."""
    place = urlsplit(url)
    name = f"{place.scheme}_proxy"
    written = environment.get(name) or environment.get(name.upper()) or ""
    if not written:
        return None
    host = (place.hostname or "").lower()
    direct = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    for entry in direct.lower().replace(",", " ").split():
        if entry in ("*", host) or host.endswith("." + entry.lstrip("*.")):
            return None
        if _in_network(host, entry):
            return None
    proxy = urlsplit(written if "://" in written else f"http://{written}")
    return (proxy.hostname or "", proxy.port or 80) if proxy.hostname else None


def _in_network(host: str, entry: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _hang_up(connected: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):  # it may have ended by itself in the meantime
        connected.shutdown(socket.SHUT_RDWR)


def _reason(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return NO_ANSWER
    if isinstance(failure, http.client.RemoteDisconnected | ConnectionResetError):
        return "the connection was closed without an answer"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return str(failure) or type(failure).__name__
