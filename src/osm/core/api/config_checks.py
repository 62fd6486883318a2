"""What one MeshConfig must fulfil beyond its shape."""

from collections.abc import Iterator

from osm.core.api import codes
from osm.core.api.config import CertificateSpec, MeshConfig
from osm.core.api.duration import parse_duration
from osm.core.api.hosts import is_everything
from osm.core.api.problem import Path, Problem
from osm.core.model.origin import Severity

SHORTEST_VALIDITY = 600 * 10**9
"""In nanoseconds."""


def config_problems(config: MeshConfig) -> Iterator[Problem]:
    """What is wrong with settings that are right one by one."""
    sidecar = config.spec.sidecar
    lowest, highest = sidecar.lowest_tls_version, sidecar.tls_max_protocol_version
    if "TLS_AUTO" not in (lowest, highest) and lowest > highest:
        yield Problem(
            ("spec", "sidecar", "tlsMinProtocolVersion"),
            codes.CONTRADICTION,
            f"the lowest TLS version, {lowest}, is above the highest, {highest}",
            "Raise tlsMaxProtocolVersion, or lower tlsMinProtocolVersion.",
        )
    if highest in ("TLSv1_0", "TLSv1_1"):
        yield Problem(
            ("spec", "sidecar", "tlsMaxProtocolVersion"),
            codes.WEAK,
            f"{highest} is broken, and off in current TLS libraries",
            "Allow TLSv1_2 or TLSv1_3.",
            Severity.WARNING,
        )
    authorization = config.spec.traffic.inbound_external_authorization
    if authorization.enable and not (authorization.address and authorization.port):
        yield Problem(
            ("spec", "traffic", "inboundExternalAuthorization", "enable"),
            codes.MISSING,
            "external authorization is on, and `address` or `port` is missing",
            "Name the gRPC service that is to be asked.",
        )
    yield from _certificate_problems(config.spec.certificate, ("spec", "certificate"))
    for index, text in enumerate(config.spec.traffic.outbound_ip_range_exclusion_list):
        if is_everything(text):
            yield Problem(
                ("spec", "traffic", "outboundIPRangeExclusionList", index),
                codes.WEAK,
                f"{text!r} is every address: no call would be part of the mesh",
                "Name the ranges that the mesh must leave alone.",
            )


def _certificate_problems(spec: CertificateSpec, path: Path) -> Iterator[Problem]:
    if parse_duration(spec.service_cert_validity_duration) < SHORTEST_VALIDITY:
        yield Problem(
            (*path, "serviceCertValidityDuration"),
            codes.OUT_OF_RANGE,
            f"{spec.service_cert_validity_duration} is below 10m, which is used instead",
            "Write 10m or more.",
            Severity.WARNING,
        )
    if not 2048 <= spec.cert_key_bit_size <= 4096:
        yield Problem(
            (*path, "certKeyBitSize"),
            codes.OUT_OF_RANGE,
            f"{spec.cert_key_bit_size} is not in 2048 to 4096; 2048 is used instead",
            severity=Severity.WARNING,
        )


def with_off_as_text(document: dict[str, object]) -> dict[str, object]:
    """Undo what YAML 1.1 does to `logLevel: off`, which it reads as false."""
    spec = document.get("spec")
    sidecar = spec.get("sidecar") if isinstance(spec, dict) else None
    if isinstance(spec, dict) and isinstance(sidecar, dict) and sidecar.get("logLevel") is False:
        return document | {"spec": spec | {"sidecar": sidecar | {"logLevel": "off"}}}
    return document
