"""What the tests of the local platform run in a process of its own: `WAY DIRECTORY SCENARIO`.

WAY is an isolation, or `nobody`: user namespaces as uid 65534. Prints what it found as JSON.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from osm.core.api.kubernetes import (
    Container,
    Deployment,
    DeploymentSpec,
    LabelSelector,
    Pod,
    PodSpec,
    PodTemplate,
    Probe,
    Service,
    ServicePortSpec,
    ServiceSpec,
)
from osm.core.api.manifest import Key
from osm.core.api.metadata import Metadata
from osm.errors import PlatformError
from osm.local import namespaces, process_table
from osm.local.container import Isolation
from osm.local.mode import Wish, detect_mode
from osm.local.plan import Plan, make_plan
from osm.local.platform import LocalPlatform
from osm.local.proxy import envoy_binary
from osm.local.runtime_directory import RuntimeDirectory, down

NOBODY = 65534
WEB = [sys.executable, "-m", "http.server", "8080", "--bind", "0.0.0.0"]
SHOP = Service(
    Metadata("shop", "shop"), ServiceSpec(selector={"app": "web"}, ports=(ServicePortSpec(80),))
)


def envoy_config(directory: Path, address: str) -> str:
    """An Envoy that answers every connection with where it was going."""
    answer = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network."
            "http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "out",
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {
                        "@type": "type.googleapis.com/"
                        "envoy.extensions.filters.http.router.v3.Router"
                    },
                }
            ],
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "all",
                        "domains": ["*"],
                        "routes": [
                            {
                                "match": {"prefix": "/"},
                                "direct_response": {
                                    "status": 200,
                                    "body": {"inline_string": "via proxy"},
                                },
                                "response_headers_to_add": [
                                    header("x-destination", "%DOWNSTREAM_LOCAL_ADDRESS%"),
                                    header("x-url", "http://%REQ(:AUTHORITY)%%REQ(:PATH)%"),
                                ],
                            }
                        ],
                    }
                ]
            },
        },
    }
    listener = {
        "name": "outbound",
        "address": {"socket_address": {"address": address, "port_value": 15001}},
        "listener_filters": [
            {
                "name": "envoy.filters.listener.original_dst",
                "typed_config": {
                    "@type": "type.googleapis.com/"
                    "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
                },
            }
        ],
        "filter_chains": [{"filters": [answer]}],
    }
    admin = {"address": {"pipe": {"path": str(directory / "admin.sock")}}}
    return json.dumps({"admin": admin, "static_resources": {"listeners": [listener]}})


def header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}}


async def prepare(pod: Pod, directory: Path) -> Sequence[str]:
    address = (
        "127.0.0.1" if "redirected" in pod.metadata.annotations.values() else pod.status.pod_ip
    )
    config = directory / "envoy.json"
    config.write_text(envoy_config(directory, address))
    return ("-c", str(config), "--disable-hot-restart", "--concurrency", "1", "-l", "error")


class Scenario:
    """A platform to try things on."""

    def __init__(self, platform: LocalPlatform, isolation: Isolation, lines: list[str]) -> None:
        self.platform = platform
        self.isolation = isolation
        self.lines = lines

    async def apply(self, *objects: object) -> Plan:
        plan = make_plan(objects, self.isolation)
        assert not plan.findings, plan.findings
        await self.platform.apply(plan.pods, plan.hosts)
        return plan

    def pod(self, name: str = "web-0") -> Pod | None:
        found = self.platform.pods.get(Key("", "Pod", "shop", name))
        return None if found is None else found.object

    async def until(self, true: Callable[[], bool], what: str, seconds: float = 15) -> None:
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                shown = [each.object.status for each in self.platform.pods.values()]
                raise AssertionError(f"not {what} after {seconds} s: {shown} {self.lines[-20:]}")
            await asyncio.sleep(0.01)

    async def until_ready(self, name: str = "web-0") -> None:
        await self.until(lambda: self.condition(name) == "True", "ready")

    def condition(self, name: str = "web-0") -> str:
        pod = self.pod(name)
        return "" if pod is None else pod.status.conditions[0].status

    def message(self, name: str = "web-0") -> str:
        pod = self.pod(name)
        return "" if pod is None else pod.status.conditions[0].message

    async def said(self, prefix: str) -> str:
        await self.until(lambda: any(prefix in line for line in self.lines), f"said {prefix}")
        return next(line for line in self.lines if prefix in line).split(prefix, 1)[1]


def web(command: Sequence[str] = tuple(WEB), grace: int = 5, **fields: Any) -> Deployment:
    container = Container("web", command=tuple(command), **fields)
    spec = PodSpec((container,), termination_grace_period_seconds=grace)
    return Deployment(
        Metadata("web", "shop"),
        DeploymentSpec(
            LabelSelector({"app": "web"}), PodTemplate(spec, Metadata(labels={"app": "web"}))
        ),
    )


def program(text: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", text, *arguments)


def probe(**fields: Any) -> Probe:
    return msgspec.convert(fields, Probe)


def exchange(connection: socket.socket) -> str:
    with connection:
        connection.setblocking(True)
        connection.settimeout(5)
        connection.sendall(b"GET / HTTP/1.0\r\nHost: shop.shop\r\n\r\n")
        return connection.recv(1000).decode()


CALL = """
import socket, sys, urllib.request, time
def call(url):
    for _ in range(100):
        try:
            return urllib.request.urlopen(url, timeout=5).headers["x-destination"]
        except OSError as error:
            last = error
            time.sleep(0.05)
    return repr(last)
print("DESTINATION", call("http://" + sys.argv[1] + ":80/"))
print("NAME", call("http://shop:80/"))
server = socket.create_server(("::1", 9999), family=socket.AF_INET6)
socket.create_connection(("::1", 9999))
print("V6 open")
time.sleep(60)
"""


async def traffic(scenario: Scenario) -> dict[str, Any]:
    service = (await scenario.apply(web(), SHOP)).services[0].spec.cluster_ip
    caller = Pod(
        Metadata("caller", "shop"), PodSpec((Container("c", command=program(CALL, service)),))
    )
    await scenario.apply(web(readiness_probe=probe(httpGet={"port": 8080})), SHOP, caller)
    await scenario.until_ready()
    found = {"service": service}
    found["dialed"] = exchange(await scenario.platform.dial("shop", "web-0", 8080))
    async with scenario.platform.forward("shop", "web-0", 8080, 28080) as forward:
        reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        found["forwarded"] = (await reader.read(100)).decode()
        writer.close()
    found["destination"] = await scenario.said("DESTINATION ")
    found["by_name"] = await scenario.said("NAME ")
    found["loopback_v6"] = await scenario.said("V6 ")
    return found


HOSTILE = r"""
import ctypes, json, os, signal, socket, sys, time, urllib.request
sys.path.insert(0, sys.argv[1])
from osm.local import namespaces, network
mesh, host_port, abstract = sys.argv[2], int(sys.argv[3]), sys.argv[4]
def attempt(what):
    try:
        return what()
    except OSError as error:
        return error.strerror
found = {}
status = dict(line.split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
found["capabilities"] = status["CapBnd"].strip()
found["uid"] = os.getuid()
found["sees_processes"] = [p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]
found["reads_mesh_files"] = os.listdir(mesh)
try:
    socket.create_connection(("127.0.0.1", host_port))
    found["host_port"] = "reached the machine"
except OSError as error:
    found["host_port"] = type(error).__name__
one = socket.socket(socket.AF_UNIX)
try:
    one.connect("\0" + abstract)
    found["abstract_socket"] = "reached the machine"
except OSError as error:
    found["abstract_socket"] = type(error).__name__
found["sets_loopback_down"] = attempt(lambda: network.bring_up_loopback() or "done")
found["flushes_rules"] = attempt(lambda: network.redirect_to_proxy(1) or "done")
try:
    namespaces.join("/proc/1/ns/net", namespaces.CLONE_NEWNET)
    found["joins_namespace_of_process_1"] = "done"
except OSError as error:
    found["joins_namespace_of_process_1"] = type(error).__name__
found["mounts"] = attempt(lambda: namespaces.hide("/mnt") or "done")
os.kill(1, signal.SIGKILL)
time.sleep(0.2)
found["kills_process_1"] = "alive"
# To connect a UDP socket asks for a route, and sends nothing.
for family, outside in ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8::1")):
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        found["route_to_" + outside] = attempt(lambda: udp.connect((outside, 53)) or "there is one")
found["hosts_is_private"] = "shop.shop.svc.cluster.local" in open("/etc/hosts").read()
print("FOUND " + json.dumps(found))
time.sleep(60)
"""


async def hostile(scenario: Scenario, base: Path) -> dict[str, Any]:
    assert scenario.isolation is not Isolation.NONE, "this would reach the machine"
    abstract = f"osm-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as name:
        name.bind("\0" + abstract)
        name.listen()
        source = str(Path(namespaces.__file__).parents[2])
        port = server.getsockname()[1]
        command = program(HOSTILE, source, str(base), str(port), abstract)
        await scenario.apply(web(command), SHOP)
        found: dict[str, Any] = json.loads(await scenario.said("FOUND "))
        return found


DAEMON = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
os.wait()
print("DAEMON started")
time.sleep(600)
"""


async def daemon(scenario: Scenario, base: Path) -> dict[str, Any]:
    mark = f"osm-daemon-{os.getpid()}"
    await scenario.apply(web(program(DAEMON, mark), grace=1))
    await scenario.said("DAEMON ")
    found = {"running": len(marked(mark))}
    began = time.monotonic()
    await scenario.apply()
    await scenario.until(lambda: not scenario.platform.pods, "gone", 20)
    directories = [each.name for each in (base / "mesh" / "pods").iterdir()]
    seconds = time.monotonic() - began
    return {**found, "left": len(marked(mark)), "seconds": seconds, "directories": directories}


def marked(mark: str) -> list[int]:
    return [
        stat.pid
        for stat in process_table.read_all()
        if stat.pid != os.getpid() and mark in process_table.command_line(stat.pid)
    ]


TOGGLE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists(FILE) else 503)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""


async def readiness(scenario: Scenario, base: Path) -> dict[str, Any]:
    file = base.parent / "ready-file"
    check = probe(httpGet={"port": 8080}, periodSeconds=1, failureThreshold=1)
    await scenario.apply(
        web(program(TOGGLE.replace("FILE", repr(str(file)))), readiness_probe=check)
    )
    await scenario.until(lambda: "503" in scenario.message(), "unready")
    states, message = [scenario.condition()], scenario.message()
    for there in (True, False, True):
        file.touch() if there else file.unlink()
        await scenario.until(lambda: scenario.condition() != states[-1], "changed")
        states.append(scenario.condition())
    return {"states": states, "message": message}


CRASH = """
import os, time
print("START", time.time())
os.kill(os.getpid(), 11)
"""


async def crash(scenario: Scenario) -> dict[str, Any]:
    caller = Pod(Metadata("other", "shop"), PodSpec((Container("c", command=("sleep", "60")),)))
    await scenario.apply(web(program(CRASH)), caller)
    await scenario.until(lambda: sum("START" in line for line in scenario.lines) >= 5, "5 starts")
    starts = [float(line.split()[1]) for line in scenario.lines if line.startswith("START")]
    await scenario.until_ready("other")
    directory = scenario.platform.pod_directory("shop", "other")
    envoys = [
        stat.pid
        for stat in process_table.read_all()
        if process_table.command_line(stat.pid).startswith(f"{envoy_binary()} -c {directory}/")
    ]
    assert len(envoys) == 1, envoys
    await scenario.until(lambda: "SIGSEGV" in scenario.message(), "told")
    message = scenario.message()
    os.kill(envoys[0], signal.SIGKILL)
    began = time.monotonic()
    await scenario.until(lambda: scenario.condition("other") == "False", "unready")
    await scenario.until_ready("other")
    return {
        "gaps": [later - earlier for earlier, later in itertools.pairwise(starts)],
        "message": message,
        "proxy_back_after": time.monotonic() - began,
    }


async def liveness(scenario: Scenario) -> dict[str, Any]:
    check = probe(
        exec={"command": ["test", "-e", "/nonexistent"]}, periodSeconds=1, failureThreshold=1
    )
    await scenario.apply(web(liveness_probe=check))

    def restarts() -> int:
        pod = scenario.pod()
        return 0 if pod is None else pod.status.container_statuses[0].restart_count

    await scenario.until(lambda: restarts() >= 1, "restarted")
    return {"restarts": restarts()}


IDENTIFY = """
import os, sys, time
print("BORN", time.time_ns())
while True:
    print("HOSTS", open("/etc/hosts").read().count("\\n"), flush=True)
    time.sleep(0.05)
"""


async def change(scenario: Scenario) -> dict[str, Any]:
    def born() -> list[str]:
        return [line for line in scenario.lines if line.startswith("BORN")]

    def hosts() -> str:
        return next(line for line in reversed(scenario.lines) if line.startswith("HOSTS"))

    await scenario.apply(web(program(IDENTIFY)))
    await scenario.said("HOSTS ")
    before, lines = born()[-1], hosts()
    await scenario.apply(web(program(IDENTIFY)), SHOP)
    await scenario.until(lambda: hosts() != lines, "updated")
    after_service = born()[-1]
    await scenario.apply(web(program(IDENTIFY, "another argument")), SHOP)
    await scenario.until(lambda: len(born()) > 1, "restarted")
    changes = scenario.platform.watch()
    await anext(changes)
    await scenario.apply()
    async for each in changes:
        if each.deleted:
            break
    return {
        "before": before,
        "after_service": after_service,
        "hosts_updated": True,
        "after_template": born()[-1],
        "deleted": [str(key) for key in each.deleted],
    }


FALLBACK = """
import os, urllib.request, http.server, threading
with urllib.request.urlopen("http://shop.shop/", timeout=5) as answer:
    print("URL", answer.headers["x-url"])
address = (os.environ["BIND_ADDRESS"], 8080)
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


async def fallback(scenario: Scenario) -> dict[str, Any]:
    mark = f"osm-fallback-{os.getpid()}"
    check = probe(httpGet={"port": 8080})
    plan = await scenario.apply(web(program(FALLBACK, mark), readiness_probe=check), SHOP)
    await scenario.until_ready()
    pod = plan.pods[0]
    found = {
        "dialed": exchange(await scenario.platform.dial("shop", "web-0", 8080)),
        "by_http_proxy": await scenario.said("URL "),
        "ip": pod.status.pod_ip,
        "capture": json.loads(pod.metadata.annotations["local.openservicemesh.io/capture"]),
    }
    await scenario.apply()
    await scenario.until(lambda: not scenario.platform.pods, "gone", 20)
    return {**found, "left": len(marked(mark))}


FAMILY = """
import os, time
if os.fork() == 0:
    os.setsid()
    os.fork()
else:
    print("UP")
time.sleep(600)
"""


async def wait(scenario: Scenario, mark: str) -> None:
    """Run until a signal comes."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await scenario.apply(web(program(FAMILY, mark)), SHOP)
    await scenario.said("UP")
    await scenario.until(lambda: len(marked(mark)) == 3, "a family of three")
    print("running", flush=True)
    await ended.wait()


async def mode() -> dict[str, Any]:
    auto = await detect_mode()
    without = await detect_mode(simulate_failure=("root", "user"))
    # In a user namespace of our own, the number of further ones can be limited to none.
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(namespaces.CLONE_NEWUSER)
    namespaces.map_user(NOBODY, uid, NOBODY, gid)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    limited = await detect_mode()
    try:
        await detect_mode(Wish.USER)
        asked = "it worked"
    except PlatformError as error:
        asked = str(error)
    return {
        "auto": auto.isolation,
        "without": [without.isolation, without.reason],
        "limited": [limited.isolation, limited.reason],
        "asked": asked,
    }


@contextlib.asynccontextmanager
async def a_platform(isolation: Isolation, base: Path) -> AsyncIterator[Scenario]:
    lines: list[str] = []
    with RuntimeDirectory("mesh", base=base) as runtime:
        async with LocalPlatform(
            isolation,
            runtime,
            prepare=prepare,
            take_line=lambda _n, _p, _c, text, _e: lines.append(text),
            directory=Path("/"),
        ) as platform:
            yield Scenario(platform, isolation, lines)


async def main(isolation: Isolation, base: Path, name: str) -> Mapping[str, Any]:
    if name == "mode":
        return await mode()
    if name == "down":
        await down("mesh", base=base)
        return {"ended": True}
    with_scenario: Mapping[str, Callable[[Scenario], Awaitable[dict[str, Any]]]] = {
        "traffic": traffic,
        "hostile": lambda scenario: hostile(scenario, base),
        "daemon": lambda scenario: daemon(scenario, base),
        "readiness": lambda scenario: readiness(scenario, base),
        "crash": crash,
        "liveness": liveness,
        "change": change,
        "fallback": fallback,
    }
    async with a_platform(isolation, base) as scenario:
        if name == "nothing":
            return {"directories": [each.name for each in (base / "mesh" / "pods").iterdir()]}
        if name.startswith("wait:"):
            await wait(scenario, name.removeprefix("wait:"))
            return {}
        return await with_scenario[name](scenario)


def become_nobody() -> None:
    """Become uid 65534, in a mount namespace where that user can read our Python."""
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.keep_mounts_private()
    for needed in {sys.base_prefix, sys.prefix, str(Path(__file__).parents[2])}:
        closed = next(
            (str(each) for each in reversed(Path(needed).parents) if not each.stat().st_mode & 1),
            None,
        )
        if closed is not None:
            source = os.open(needed, os.O_PATH)
            namespaces.mount("tmpfs", closed, "tmpfs", 0, "mode=755")
            Path(needed).mkdir(parents=True, exist_ok=True)
            namespaces.mount(f"/proc/self/fd/{source}", needed, flags=namespaces.MS_BIND)
            os.close(source)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


if __name__ == "__main__":
    if sys.argv[1] == "nobody":
        become_nobody()
    way = Isolation.USER if sys.argv[1] == "nobody" else Isolation(sys.argv[1])
    print(json.dumps(asyncio.run(main(way, Path(sys.argv[2]), sys.argv[3]))))
