"""The servers that proxies ask in tests, built from their modules."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.go_programs import go_program

_HERE = Path(__file__).parent


def rate_limit_program() -> Path:
    """Envoy's own rate limit service."""
    return go_program(_HERE / "ratelimit", "github.com/envoyproxy/ratelimit/src/service_cmd")


def opa_program() -> Path:
    """Open Policy Agent."""
    return go_program(_HERE / "opa", "github.com/open-policy-agent/opa")


PROGRAMS: Mapping[str, Callable[[], Path]] = {
    "rate limit service": rate_limit_program,
    "OPA": opa_program,
}
