"""Small parts of supervision: verdicts of probes, restarts, statuses, forwards, where Envoy is."""

import asyncio
import socket
import struct
from pathlib import Path

import msgspec
import pytest

from osm.core.api.kubernetes import Container, Pod, PodSpec, PodStatus, Probe
from osm.core.api.metadata import Metadata
from osm.core.model import redirection
from osm.errors import PlatformError
from osm.local import network, wire
from osm.local.forward import PortForward
from osm.local.network import NOTHING_AROUND, redirect_batches
from osm.local.pod_status import PodState, show
from osm.local.probe import Verdicts
from osm.local.proxy import envoy_binary
from osm.local.restart import Restarts

POD = Pod(
    Metadata("web-0", "shop"),
    PodSpec((Container("web"), Container("side"))),
    PodStatus(pod_ip="241.0.0.1"),
)


def test_thresholds_decide_when_results_are_a_verdict() -> None:
    verdicts = Verdicts(Probe(success_threshold=2, failure_threshold=3))
    results = [True, True, True, False, False, True, False, False, False, False, True, True]
    changes = [verdicts.add(result) for result in results]
    assert [index for index, changed in enumerate(changes) if changed] == [1, 8, 11]


def test_a_program_that_is_not_ready_yet_is_probed_often_and_a_ready_one_by_its_period() -> None:
    verdicts = Verdicts(Probe(period_seconds=10))
    pauses = [verdicts.pause for _ in range(20)]
    assert pauses[0] < 0.1
    assert max(pauses) == 1.0
    verdicts.add(True)
    assert verdicts.pause == 10
    assert Verdicts(Probe(period_seconds=10), hasty=False).pause == 10


def test_restarts_wait_twice_as_long_each_time_and_afresh_after_a_good_minute() -> None:
    restarts = Restarts()
    assert [round(restarts.delay_s(1), 3) for _ in range(9)] == [
        *(0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0)
    ]
    assert restarts.delay_s(61) == 0.2
    assert restarts.count == 10


def test_a_pod_is_ready_when_its_proxy_and_all_its_programs_are_and_says_why_not() -> None:
    state = PodState(POD)

    def condition() -> tuple[str, str, str]:
        (found,) = state.conditions()
        return found.status, found.reason, found.message

    assert condition() == ("False", "ProxyNotReady", "envoy: not started yet")
    state.proxy.ready = True
    state.containers[0].ready = True
    state.containers[1].problem = "HTTP status 503"
    assert condition() == ("False", "ContainersNotReady", "side: HTTP status 503")
    state.containers[1].ready = True
    assert condition() == ("True", "", "")
    state.stopping = True
    assert condition()[1] == "Terminating"


def test_a_pod_is_shown_as_an_api_server_would() -> None:
    state = PodState(POD)
    state.containers[0].restarts = 3
    shown = show(POD, state, "unix:/x/in.{port}.sock", "unix:/x/ingress.{port}.sock")
    assert str(shown.key) == "Pod shop/web-0"
    assert shown.raw["status"]["podIP"] == "241.0.0.1"
    assert shown.raw["status"]["containerStatuses"][0]["restartCount"] == 3
    assert shown.object.metadata.annotations == {
        "local.openservicemesh.io/inbound-address": "unix:/x/in.{port}.sock",
        "local.openservicemesh.io/ingress-address": "unix:/x/ingress.{port}.sock",
    }
    raw = {key: value for key, value in shown.raw.items() if key not in ("apiVersion", "kind")}
    assert msgspec.convert(raw, Pod) == shown.object


async def test_a_forward_to_a_proxy_says_first_who_calls() -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(repeat, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()

    async def dial() -> socket.socket:
        connection = socket.create_connection(target)
        connection.setblocking(False)
        return connection

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with PortForward(dial, port, tell_caller=True) as forward:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", forward.local_port, local_addr=("127.0.0.2", 0)
        )
        own = writer.get_extra_info("sockname")[1]
        writer.write(b"hello")
        writer.write_eof()
        expected = f"PROXY TCP4 127.0.0.2 127.0.0.1 {own} {forward.local_port}\r\nhello"
        assert (await reader.read()).decode() == expected
        writer.close()
    server.close()


async def test_a_forward_relays_both_ways_and_takes_the_next_port_when_one_is_taken() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()

    async def dial() -> socket.socket:
        connection = socket.create_connection(target)
        connection.setblocking(False)
        return connection

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with PortForward(dial, port) as forward:
            assert port < forward.local_port < port + 100
            reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
            writer.write(b"hello")
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 5) == b"HELLO"
            writer.close()
    server.close()


async def test_a_forward_to_a_pod_that_refuses_closes_the_connection() -> None:
    async def refuse() -> socket.socket:
        raise ConnectionRefusedError

    async with PortForward(refuse, 29000) as forward:
        reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


def test_envoy_comes_from_the_environment_or_the_wheel(tmp_path: Path) -> None:
    mine = tmp_path / "envoy"
    mine.write_text("")
    with pytest.raises(PlatformError, match="OSM_ENVOY"):
        envoy_binary({"OSM_ENVOY": str(mine)})
    mine.chmod(0o755)
    assert envoy_binary({"OSM_ENVOY": str(mine)}) == mine
    assert envoy_binary({}).stat().st_size > 10_000_000


def test_messages_carry_descriptors_and_say_when_they_are_too_large() -> None:
    ours, theirs = wire.pair()
    with ours, theirs, socket.socket() as passed:
        wire.send(ours, wire.encode({"id": 1, "text": "ü"}), (passed.fileno(),))
        received = wire.receive(theirs)
        assert received is not None
        message, (descriptor,) = received
        assert message == {"id": 1, "text": "ü"}
        with socket.socket(fileno=descriptor) as copy:
            assert copy.fileno() != passed.fileno()
        with pytest.raises(wire.TooLarge):
            wire.encode({"argv": ["x" * wire.LARGEST]})
        largest = wire.encode({"argv": ["x" * (wire.LARGEST - 20)]})
        wire.send(ours, largest)
        assert wire.receive(theirs) is not None
        ours.close()
        assert wire.receive(theirs) is None


def test_pods_and_the_control_plane_mean_the_same_source() -> None:
    assert network.PROXY_SOURCE == redirection.PROXY_SOURCE


def test_the_redirection_is_one_transaction_of_well_formed_messages() -> None:
    ((batch, last),) = redirect_batches(15001, 0, NOTHING_AROUND)
    lengths, offset, acknowledged = [], 0, []
    while offset < len(batch):
        length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", batch, offset)
        lengths.append(length)
        acknowledged += [sequence] if flags & 4 else []
        offset += length
    assert offset == len(batch)
    assert acknowledged[-1] == last
    assert kind == 0x11
    assert all(length % 4 == 0 for length in lengths)
    assert struct.pack(">H", 15001) in batch
