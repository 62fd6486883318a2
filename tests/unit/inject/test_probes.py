"""Probes ask the proxy, which knows what to ask the application."""

from collections.abc import Mapping

import pytest
from tests.unit.inject.pods import container, pod, read

from osm.core.inject.pod import Document
from osm.core.inject.probes import Asked, ask_proxy
from osm.core.model.probe import HttpProbe, ProbeKind, Probes, TcpProbe

NAMED = {"ports": [{"name": "web", "containerPort": 8080}, {"containerPort": 9090}]}
LIVENESS = ProbeKind.LIVENESS


def asked(document: Document) -> Asked:
    return ask_proxy(document, read(document))


def containers(document: Document, field: str = "containers") -> list[Mapping[str, object]]:
    spec = document["spec"]
    assert isinstance(spec, Mapping)
    found = spec[field]
    assert isinstance(found, list)
    return found


def test_a_probe_by_http_asks_the_proxy_on_the_port_of_its_kind() -> None:
    probe = {"httpGet": {"path": "/ok?deep=1", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 7}
    names = ("livenessProbe", "readinessProbe", "startupProbe")
    found = asked(pod(container(**dict.fromkeys(names, probe))))
    (after,) = containers(found.document)
    for name, port, path in (
        ("livenessProbe", 15901, "/osm-liveness-probe/app"),
        ("readinessProbe", 15902, "/osm-readiness-probe/app"),
        ("startupProbe", 15903, "/osm-startup-probe/app"),
    ):
        action = {"path": path, "port": port, "scheme": "HTTP"}
        assert after[name] == {"httpGet": action, "periodSeconds": 7}
    assert {(each.asked_path, each.port, each.path) for each in found.probes.http} == {
        ("/osm-liveness-probe/app", 8080, "/ok?deep=1"),
        ("/osm-readiness-probe/app", 8080, "/ok?deep=1"),
        ("/osm-startup-probe/app", 8080, "/ok?deep=1"),
    }


def test_containers_do_not_share_a_path() -> None:
    def probed(name: str, port: int) -> Document:
        return container(name, livenessProbe={"httpGet": {"path": "/", "port": port}})

    found = asked(pod(probed("a", 1), probed("ab", 2), initContainers=[probed("side", 3)]))
    assert found.probes.http == (
        HttpProbe(LIVENESS, "a", 1, "/"),
        HttpProbe(LIVENESS, "ab", 2, "/"),
        HttpProbe(LIVENESS, "side", 3, "/"),
    )
    assert len({each.asked_path for each in found.probes.http}) == 3
    (side,) = containers(found.document, "initContainers")
    assert side["livenessProbe"] == {"httpGet": {"path": "/osm-liveness-probe/side", "port": 15901}}


def test_a_probe_by_https_is_plain_as_far_as_the_proxy_which_speaks_tls() -> None:
    headers = [{"name": "Host", "value": "shop.example"}]
    probe = {"httpGet": {"port": 8443, "scheme": "HTTPS", "httpHeaders": headers}}
    found = asked(pod(container(livenessProbe={**probe, "timeoutSeconds": 4})))
    (after,) = containers(found.document)
    action = {"path": "/osm-liveness-probe/app", "port": 15901, "scheme": "HTTP"}
    assert after["livenessProbe"] == {
        "httpGet": {**action, "httpHeaders": headers},
        "timeoutSeconds": 4,
    }
    assert found.probes.http == (HttpProbe(LIVENESS, "app", 8443, "/", tls=True, timeout_s=4),)


def test_a_probe_by_tcp_asks_whether_the_port_is_open() -> None:
    probe = {"tcpSocket": {"port": "web"}, "failureThreshold": 2}
    found = asked(pod(container(readinessProbe=probe, **NAMED)))
    (after,) = containers(found.document)
    header = {"name": "Original-Tcp-Port", "value": "8080"}
    assert after["readinessProbe"] == {
        "httpGet": {"path": "/osm-healthcheck", "port": 15904, "httpHeaders": [header]},
        "failureThreshold": 2,
    }
    assert found.probes == Probes(tcp=(TcpProbe(8080),))


def test_probes_of_one_port_by_tcp_are_one_as_often_as_any_of_them() -> None:
    def probe(period: int, timeout: int) -> Mapping[str, object]:
        return {"tcpSocket": {"port": 1}, "periodSeconds": period, "timeoutSeconds": timeout}

    found = asked(pod(container(livenessProbe=probe(30, 1), readinessProbe=probe(5, 3))))
    assert found.probes.tcp == (TcpProbe(1, period_s=5, timeout_s=3),)


@pytest.mark.parametrize(("port", "number"), [(8080, 8080), ("web", 8080), ("80", 80)])
def test_a_port_is_found_as_the_kubelet_finds_it(port: int | str, number: int) -> None:
    found = asked(pod(container(livenessProbe={"httpGet": {"port": port}}, **NAMED)))
    assert [each.port for each in found.probes.http] == [number]


@pytest.mark.parametrize("port", ["wbe", "", "0", "70000", "-1", "٣", 0, -1, 65536, 10**30])
@pytest.mark.parametrize("action", ["httpGet", "tcpSocket"])
def test_a_port_that_is_nowhere_is_left_for_the_kubelet_to_complain_of(
    port: int | str, action: str
) -> None:
    before = pod(container(livenessProbe={action: {"port": port}}, **NAMED))
    assert asked(before) == Asked(before, Probes())


def test_a_named_port_of_a_container_without_ports_is_left_too() -> None:
    before = pod(container(livenessProbe={"httpGet": {"port": "web"}}), container("b", **NAMED))
    assert asked(before) == Asked(before, Probes())


@pytest.mark.parametrize(
    "probe",
    [
        {"exec": {"command": ["true"]}},
        {"grpc": {"port": 9000, "service": "shop"}},
        # Not the pod: nobody stands between.
        {"httpGet": {"port": 80, "host": "10.0.0.1"}},
        {"tcpSocket": {"port": 80, "host": "127.0.0.1"}},
        {},
    ],
)
def test_other_probes_stay_as_they_are(probe: Mapping[str, object]) -> None:
    before = pod(container(livenessProbe=probe, readinessProbe=probe))
    assert asked(before) == Asked(before, Probes())


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("", "/"),
        ("ok", "/ok"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/ok#part", "/ok"),
        ("//x", "//x"),
        ("/ok\r\nx: y", "/ok%0D%0Ax:%20y"),
        ("/ü?q=$(id)", "/%C3%BC?q=$(id)"),
    ],
)
def test_paths_are_what_the_kubelet_would_send(path: str, sent: str) -> None:
    found = asked(pod(container(livenessProbe={"httpGet": {"port": 1, "path": path}})))
    assert [each.path for each in found.probes.http] == [sent]


def test_strange_times_become_possible_ones() -> None:
    probe = {"tcpSocket": {"port": 1}, "periodSeconds": -5, "timeoutSeconds": -1}
    assert asked(pod(container(livenessProbe=probe))).probes.tcp == (TcpProbe(1, 1, 1),)
