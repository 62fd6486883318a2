"""The first process of a node's namespaces: `python -m tests.kubernetes.first_process DIRECTORY`.

It makes a machine of them, and then does what lines of JSON on its standard input say:
`{"start": NAME, "arguments": […]}` and `{"kill": NAME}`. What it says: `ready`, `ended NAME STATUS`.
When its input ends it ends, and the kernel ends everything else in the namespaces.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

from .arguments import SERVICES

NAME = "node"
ADDRESS = "10.89.0.1"
OWN = ("/run", "/var/lib/cni", "/var/log", "/etc/cni")
"""Where programs of a node write; here it is memory, and nobody else sees it."""
MACHINE_WIDE = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What kubelet would set for the whole machine. It gets files of its own instead."""
OF_THE_NETWORK = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/all/route_localnet": "1",
    # Pods of one bridge reach each other by a Service's address, too.
    "bridge/bridge-nf-call-iptables": "1",
}


class Programs:
    """Those that run here, by name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[str, int] = {}

    def obey(self, line: bytes) -> None:
        order = json.loads(line)
        if "kill" in order:
            with contextlib.suppress(KeyError, ProcessLookupError):
                os.kill(self._running[order["kill"]], signal.SIGKILL)
            return
        with (self._directory / f"{order['start']}.log").open("ab") as log:
            process = subprocess.Popen(
                order["arguments"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self._directory)},
            )
        self._running[order["start"]] = process.pid
        process.returncode = 0  # `reap` waits, for children of others as well

    def reap(self) -> None:
        """Say which programs have ended, and bury all that have."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                for name in [name for name, pid in self._running.items() if pid == ended[0]]:
                    del self._running[name]
                    _say(f"ended {name} {os.waitstatus_to_exitcode(ended[1])}")


def main() -> None:
    directory = Path(sys.argv[1])
    _make_mounts(directory)
    socket.sethostname(NAME)
    _make_network()
    _say("ready")
    programs, buffer = Programs(directory), b""
    while True:
        if select.select([0], [], [], 0.2)[0]:
            chunk = os.read(0, 2**16)
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                programs.obey(line)
        programs.reap()


def _make_mounts(directory: Path) -> None:
    _run("mount", "--make-rprivate", "/")
    _run("mount", "-t", "proc", "proc", "/proc")
    _run("mount", "-t", "sysfs", "sysfs", "/sys")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "cgroups", "/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        controllers = line.split(":", 2)[1]
        if controllers:
            place = Path("/sys/fs/cgroup") / controllers.removeprefix("name=")
            place.mkdir()
            named = controllers.startswith("name=")
            options = f"none,{controllers}" if named else controllers
            _run("mount", "-t", "cgroup", "-o", options, "cgroup", str(place))
    for own in OWN:
        Path(own).mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "own", own)
    Path("/run/lock").mkdir()
    for name, value in MACHINE_WIDE.items():
        setting, ours = Path("/proc/sys") / name, directory / "settings" / name
        if setting.exists():
            ours.parent.mkdir(parents=True, exist_ok=True)
            ours.write_text(f"{value}\n")
            _run("mount", "--bind", str(ours), str(setting))
    _run("mount", "--make-rshared", "/")


def _make_network() -> None:
    """An address, and routes to pods and Services only: without a default route nothing leaves."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "node0", "type", "veth", "peer", "name", "node1")
    _run("ip", "address", "add", f"{ADDRESS}/24", "dev", "node0")
    for link in ("node0", "node1"):
        _run("ip", "link", "set", link, "up")
    # A route is looked up before kube-proxy's rules lead a Service's address elsewhere.
    _run("ip", "route", "add", SERVICES, "dev", "node0")
    for name, value in OF_THE_NETWORK.items():
        (Path("/proc/sys/net") / name).write_text(value)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
