"""Nothing is left of a mesh, whatever way it ends: no process, no file, nothing on the machine."""

import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from osm.local import process_table

from .process import Bench, OsmProcess, bench, wait_for

GONE_WITHIN_S = 2.0
KILLS = 10
WORKLOADS = 5


@pytest.fixture
def place() -> Iterator[Bench]:
    with bench() as made:
        yield made


class Traces:
    """Finds processes of a mesh, dead or alive, by everything that gives them away."""

    def __init__(self, place: Bench) -> None:
        self._place = str(place.root)
        self._known: dict[int, int] = {}
        self._supervisors: set[str] = set()

    def look(self, mesh: OsmProcess) -> list[int]:
        """Remember what runs now, with its start: a number alone may be another's later."""
        self._supervisors.add(str(mesh.pid))
        pids = [mesh.pid, *mesh.descendants()]
        for pid in pids:
            if (found := process_table.read(pid)) is not None:
                self._known[pid] = found.start
        return pids

    def vanish(self) -> float:
        """Wait until nothing runs any more, and give the seconds that it took."""
        try:
            return wait_for(lambda: not self.left(), "every process is gone", within=GONE_WITHIN_S)
        except AssertionError as error:
            for line in self.left():
                error.add_note(line)
            raise

    def left(self) -> list[str]:
        """What still runs: remembered, with a path of the bench, or an agent of one of its meshes.

        Proxies have a path among their arguments, programs HOME in their environment, and agents
        (and what they fork) the process that started them as their last argument.
        """
        found = []
        for stat in process_table.read_all():
            command = process_table.command_line(stat.pid)
            started_by = command.rpartition(" ")[2]
            if (
                self._known.get(stat.pid) == stat.start
                or self._place in command
                or self._place in environment(stat.pid)
                or ("osm.local.agent" in command and started_by in self._supervisors)
            ):
                found.append(f"{stat.pid} {stat.state} {command[:120]}")
        return found


def environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def host() -> dict[str, object]:
    """What a mesh could have changed on this machine, and must not."""
    found: dict[str, object] = {
        name: Path(name).read_text()
        for name in ("/etc/hosts", "/etc/resolv.conf", "/proc/net/route", "/proc/net/if_inet6")
        if Path(name).exists()
    }
    found["links"] = sorted(path.name for path in Path("/sys/class/net").iterdir())
    found["mounts"] = sorted(
        re.sub(r"^\d+ \d+ \S+ ", "", line)
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    )
    found["ip_forward"] = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    found["nftables"] = nftables()
    return found


def nftables() -> object:
    """The names of this machine's nft tables; nothing where only root may ask."""
    from pyroute2.nftables.main import NFTables  # noqa: PLC0415 - slow to import

    try:
        with NFTables(nfgen_family=0) as tables:
            return sorted(str(table.get_attr("NFTA_TABLE_NAME")) for table in tables.get_tables())
    except Exception as error:  # noqa: BLE001 - netlink's own errors: not supported, not allowed
        return type(error).__name__


def listeners(pids: set[int]) -> set[str]:
    """The listening TCP sockets of processes."""
    inodes = set()
    for pid in pids:
        try:
            entries = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue  # it has ended
        for entry in entries:
            with suppress(OSError):  # closed meanwhile: the others still count
                name = str(entry.readlink())
                if name.startswith("socket:["):
                    inodes.add(name[8:-1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and row[9] in inodes}


def is_listening(address: str) -> bool:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1] == address and row[3] == "0A" for row in rows)


def is_clean(place: Bench) -> None:
    """Hold that no file of a mesh is left but its root certificate."""
    assert sorted(str(path.relative_to(place.runtime)) for path in place.runtime.rglob("*")) == []
    assert [path.name for path in (place.state / "osm" / "osm").iterdir()] == ["ca"]


def test_killed_ten_times_in_a_row_it_leaves_nothing_that_the_next_start_does_not_clean(
    place: Bench,
) -> None:
    before = host()
    traces = Traces(place)
    seed = random.randrange(1 << 32)
    print(f"\nseed {seed}")
    moments = random.Random(seed)
    for round_ in range(KILLS):
        mesh = place.start("demo", "--quiet")
        # From the first imports to well after everything is ready.
        end = mesh.began + moments.uniform(0.1, 3.0)
        while time.monotonic() < end:
            traces.look(mesh)
            time.sleep(0.02)
        assert mesh.code is None, mesh.printed
        mesh.signal(signal.SIGKILL)
        mesh.wait()
        took = traces.vanish()
        print(f"round {round_}: killed after {end - mesh.began:.2f} s, gone after {took:.2f} s")
    with place.demo("--quiet") as mesh:
        mesh.wait_ready(workloads=WORKLOADS)
        traces.look(mesh)
    assert traces.left() == []
    is_clean(place)
    assert host() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order_and_nothing_is_left(
    place: Bench, number: signal.Signals
) -> None:
    before = host()
    traces = Traces(place)
    with place.demo() as mesh:
        pids = traces.look(mesh)
        assert len(pids) > 2 * WORKLOADS
        opened = listeners(set(pids))
        assert len(opened) >= 1 + 4  # the page, and those of the applications
        assert len(traces.left()) >= len(pids)  # it would be seen
        mesh.signal(number)
        assert mesh.wait(10) == 128 + number
        assert "Traceback" not in mesh.printed
    assert traces.left() == []
    assert not [address for address in opened if is_listening(address)]
    is_clean(place)
    assert host() == before


def test_a_signal_during_the_start_leaves_nothing_either(place: Bench) -> None:
    traces = Traces(place)
    for delay in (0.15, 0.3, 0.45, 0.6, 0.9):
        mesh = place.start("demo")
        time.sleep(delay)
        traces.look(mesh)
        mesh.signal(signal.SIGTERM)
        assert mesh.wait(10) in (128 + signal.SIGTERM, -signal.SIGTERM)
        assert "Traceback" not in mesh.printed
        traces.vanish()
    with place.demo("--quiet"):
        pass
    is_clean(place)


def test_an_edit_at_the_last_moment_does_not_keep_a_mesh_alive(place: Bench) -> None:
    for delay in (0.0, 0.06, 0.12):
        traces = Traces(place)
        with place.demo("--quiet") as mesh:
            mesh.edit("bookbuyer.yaml", lambda text: text.replace("replicas: 1", "replicas: 2"))
            time.sleep(delay)
            traces.look(mesh)
            mesh.signal(signal.SIGINT)
            assert mesh.wait(10) == 128 + signal.SIGINT
        assert traces.left() == []
        is_clean(place)


def test_the_second_signal_ends_a_mesh_at_once(place: Bench) -> None:
    traces = Traces(place)
    with place.demo("--quiet") as mesh:
        traces.look(mesh)
        mesh.signal(signal.SIGINT)
        mesh.signal(signal.SIGINT)
        began = time.monotonic()
        mesh.wait(10)
        assert time.monotonic() - began < 3
    traces.vanish()
