"""How a puppet calls others: plain sockets and plain HTTP, so that a test sees what is on the line."""

import http.client
import json
import socket
import time
from collections.abc import Mapping, Sequence


def talk(host: str, port: int, data: str = "ping", *, timeout: float = 3.0) -> tuple[str, str]:
    """Connect, send (unless `data` is empty) and read once.

    Gives what happened, `answered`, `closed`, `refused` or `silent`, and the text that came.
    """
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            if data:
                connection.sendall(data.encode())
            return _read(connection)
    except TimeoutError:
        return "silent", ""
    except OSError as error:
        return "refused", repr(error)


def _read(connection: socket.socket) -> tuple[str, str]:
    try:
        answer = connection.recv(65536)
    except TimeoutError:
        return "silent", ""
    except OSError:
        return "closed", ""
    return ("answered", answer.decode(errors="replace")) if answer else ("closed", "")


def request(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[int, dict[str, str], str]:
    """Send one request exactly as written. Header lines may repeat; without `host` there is one."""
    given = {name.lower() for name, _ in headers}
    connection.putrequest(method, target, skip_host="host" in given, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode(errors="replace")
    return answer.status, {k.lower(): v for k, v in answer.headers.items()}, body


def ask(
    host: str,
    port: int,
    method: str = "GET",
    target: str = "/",
    headers: Sequence[tuple[str, str]] = (),
    *,
    timeout: float = 6.0,
) -> tuple[int, dict[str, str], str]:
    """Send one request on a connection of its own; status 0 when no answer comes."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        return request(connection, method, target, headers)
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, repr(error)
    finally:
        connection.close()


def count_answers(
    host: str,
    port: int,
    target: str,
    *,
    requests: int = 0,
    seconds: float = 0.0,
    rate: float = 0.0,
    reconnect_every: int = 0,
    headers: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Send requests over one kept connection, and count who answered: names, or `status …`.

    Ends after so many requests or seconds. `rate` is in requests per second, 0 for no limit.
    """
    counts: dict[str, int] = {}
    started = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=6.0)
    sent = 0
    while (not requests or sent < requests) and (
        not seconds or time.monotonic() - started < seconds
    ):
        if reconnect_every and sent % reconnect_every == 0:
            connection.close()
        try:
            status, _, body = request(connection, "GET", target, tuple((headers or {}).items()))
            who = str(json.loads(body)["name"]) if status == 200 else f"status {status}"
        except (OSError, http.client.HTTPException) as error:
            who = f"status 0 {error!r}"
            connection.close()
        counts[who] = counts.get(who, 0) + 1
        sent += 1
        if rate:
            time.sleep(max(0.0, started + sent / rate - time.monotonic()))
    connection.close()
    return counts
