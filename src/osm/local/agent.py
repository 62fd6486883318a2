"""The small program that is process 1 of a pod: makes the namespaces, starts programs, connects.

`osm.local.sandbox` starts it as `python -c … <descriptor> <parent pid>`, and it speaks
`osm.local.wire` over that descriptor. It never outlives its parent: a death signal ends it, and the
end of the socket does; with it the kernel ends the pod's PID namespace, whatever ran in there.
Without namespaces it adopts orphans, and kills what descends from it. Standard library only; its
start-up time and memory count for each pod.
"""

# ruff: noqa: PTH110, PTH112, PTH123

import errno
import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

from osm.local import container, namespaces, network, process_table, wire
from osm.local.container import Isolation, Program

NAMES_PORT, AROUND_PORT = 53, 15002
PROTECTED_PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start"


class SetupFailed(Exception):
    """The pod cannot be made; the text says at which step, and why."""


def main() -> NoReturn:
    """Run as a pod's agent."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    first = wire.receive(connection)
    if first is None:
        os._exit(1)
    setup, _ = first
    serving: list[socket.socket] = []
    try:
        if setup["isolation"] == Isolation.NONE:
            namespaces.adopt_orphans()
        else:
            namespaces.die_with_parent(signal.SIGKILL, int(sys.argv[2]))
            serving = _enter_namespaces(setup, connection)
        agent = Agent(connection, Isolation(setup["isolation"]), setup["hidden"])
        numbers = [each.fileno() for each in serving]
        wire.send(connection, wire.encode({"event": "ready"}), numbers)
        for each in serving:
            each.close()
    except (OSError, SetupFailed) as error:
        _fail(connection, error)
    try:
        agent.run()
    finally:
        agent.end()


def _fail(connection: socket.socket, error: Exception) -> NoReturn:
    message = {"event": "failed", "error": namespaces.describe(error)}
    try:
        wire.send(connection, wire.encode(message))
    finally:
        os._exit(1)


def _enter_namespaces(setup: wire.Message, connection: socket.socket) -> list[socket.socket]:
    """Come back as process 1 of new namespaces, with the sockets that the supervisor serves. The
    present process stays outside and waits.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = namespaces.POD
    if setup["isolation"] == Isolation.USER:
        flags |= namespaces.CLONE_NEWUSER
    namespaces.unshare(flags)
    if setup["isolation"] == Isolation.USER:
        namespaces.map_user(0, uid, 0, gid)
    child = os.fork()
    if child:
        connection.close()
        os._exit(container.exit_code(os.waitpid(child, 0)[1]))
    namespaces.die_with_parent(signal.SIGKILL, 0)  # the parent is outside of our PID namespace: 0
    namespaces.keep_mounts_private()
    namespaces.mount_proc()
    namespaces.set_host_name(setup["hostname"])
    for target, source in setup["files"].items():
        if os.path.exists(target):
            namespaces.mount(source, target, flags=namespaces.MS_BIND)
    return _make_network(setup)


def _make_network(setup: wire.Message) -> list[socket.socket]:
    """Make it, and the sockets at which the pod asks for names, and (if anything goes around the proxy)
    where that arrives.
    """
    try:
        network.bring_up_loopback()
        network.make_local(*setup["network"])
        network.let_connections_begin()
        serving = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)]
        serving[0].bind(("127.0.0.1", NAMES_PORT))
        if setup["around"]:
            serving.append(socket.create_server(("127.0.0.1", AROUND_PORT), backlog=512))
    except OSError as error:
        raise SetupFailed(f"set up the network: {error.strerror}") from error
    try:
        around = setup["around"] or network.NOTHING_AROUND
        network.redirect_to_proxy(setup["proxy_port"], AROUND_PORT, around, setup["address"])
    except OSError as error:
        raise SetupFailed(f"redirect connections by nftables: {error.strerror}") from error
    with open(PROTECTED_PORTS, "w", encoding="ascii") as file:
        file.write(
            "0"
        )  # as container runtimes do: programs without privileges may listen on port 80
    return serving


class Agent:
    """Serves one supervisor until it goes away."""

    def __init__(self, connection: socket.socket, isolation: Isolation, hidden: list[str]) -> None:
        self._connection = connection
        self._isolation = isolation
        self._hidden = [directory for directory in hidden if os.path.isdir(directory)]
        self._programs: set[int] = set()
        self._dials: dict[int, tuple[int, socket.socket, float]] = {}
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._woken, select.POLLIN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)

    def run(self) -> None:
        """Answer requests, report exits; returns when the supervisor is gone."""
        while True:
            for descriptor, _ in self._poll.poll(self._until_next_deadline()):
                if descriptor in self._dials:
                    self._finish_dial(descriptor)
                elif descriptor == self._woken:
                    os.read(self._woken, 4096)
                    self._report_exits()
                else:
                    received = wire.receive(self._connection)
                    if received is None:
                        return
                    self._serve(*received)
            self._drop_late_dials()

    def end(self) -> NoReturn:
        """End everything in the pod, and this process."""
        if self._isolation is Isolation.NONE:
            process_table.kill_descendants(os.getpid())
        os._exit(0)

    def _serve(self, request: wire.Message, descriptors: list[int]) -> None:
        answer: wire.Message = {"id": request["id"]}
        try:
            match request["do"]:
                case "spawn":
                    answer["pid"] = self._spawn(request, descriptors)
                case "signal":
                    if request["pid"] in self._programs:
                        os.kill(request["pid"], request["number"])
                case "dial":
                    self._dial(request)
                    return
                case verb:
                    answer["error"] = f"unknown request {verb}"
        except (OSError, container.Failure) as error:
            answer["error"] = namespaces.describe(error)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._send(answer)

    def _send(self, message: wire.Message, descriptors: tuple[int, ...] = ()) -> None:
        try:
            wire.send(self._connection, wire.encode(message), descriptors)
        except (BrokenPipeError, ConnectionResetError):
            self.end()

    def _spawn(self, request: wire.Message, stdio: list[int]) -> int:
        program = Program(
            request["argv"], request["env"], request["cwd"], request["uid"], request["gid"]
        )
        if self._isolation is Isolation.NONE or request["kind"] == "proxy":
            pid = container.start(program, stdio, self._isolation)
        elif request["kind"] == "exec":
            if request["container"] not in self._programs:
                raise container.Failure("the container is not running")
            pid = container.start_inside(program, stdio, request["container"])
        else:
            pid = container.start_container(program, stdio, self._hidden)
        self._programs.add(pid)
        return pid

    def _report_exits(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._programs:
                self._programs.remove(pid)
                if self._isolation is Isolation.NONE:
                    process_table.kill_session(pid)
                self._send({"event": "exit", "pid": pid, "code": container.exit_code(status)})

    def _dial(self, request: wire.Message) -> None:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if request.get("from_proxy"):
            connection.bind((network.PROXY_SOURCE, 0))
        number = connection.connect_ex((request["host"], request["port"]))
        deadline = time.monotonic() + request["timeout"]
        self._dials[connection.fileno()] = (request["id"], connection, deadline)
        if number == errno.EINPROGRESS:
            self._poll.register(connection, select.POLLOUT)
        else:
            self._answer_dial(connection.fileno(), number)

    def _finish_dial(self, descriptor: int) -> None:
        connection = self._dials[descriptor][1]
        self._poll.unregister(connection)
        self._answer_dial(descriptor, connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _answer_dial(self, descriptor: int, number: int) -> None:
        request, connection, _ = self._dials.pop(descriptor)
        with connection:
            if number:
                self._send({"id": request, "error": os.strerror(number)})
            else:
                self._send({"id": request}, (descriptor,))

    def _until_next_deadline(self) -> int | None:
        if not self._dials:
            return None
        soonest = min(deadline for _, _, deadline in self._dials.values())
        return max(0, int((soonest - time.monotonic()) * 1000) + 1)

    def _drop_late_dials(self) -> None:
        now = time.monotonic()
        for descriptor in [number for number, dial in self._dials.items() if dial[2] <= now]:
            self._poll.unregister(descriptor)
            self._answer_dial(descriptor, errno.ETIMEDOUT)


if __name__ == "__main__":
    main()
