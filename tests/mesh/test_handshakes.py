"""Handshakes by the hundred, finished or not, do not harm the control plane."""

import socket
import ssl
import threading
import time

from .process import bench

THREADS = 8
SECONDS = 4.0


def test_the_control_plane_survives_many_concurrent_handshakes() -> None:
    with bench() as place, place.demo("--quiet") as mesh:
        path = place.runtime / "osm" / "osm" / "ads.sock"
        done: list[int] = []
        until = time.monotonic() + SECONDS

        def shake_hands() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            while time.monotonic() < until:
                with socket.socket(socket.AF_UNIX) as plain:
                    plain.settimeout(3)
                    plain.connect(str(path))
                    # Without a certificate: refused after the handshake, which is what costs.
                    with context.wrap_socket(plain):
                        done.append(1)

        threads = [threading.Thread(target=shake_hands) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) > 500
        assert mesh.code is None, mesh.printed[-2000:]
        mesh.bench.succeed("status")
