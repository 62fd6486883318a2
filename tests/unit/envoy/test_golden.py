"""What proxies get, in files small enough to read: `tests/unit/golden`, written by `make golden`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.unit.envoy.asking import catalog_of, value_of
from tests.unit.envoy.readable import as_tree, as_yaml, outline, told

from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm.core.envoy.render import build
from osm.core.xds import types
from osm.testing.builders import model, proxy

DIRECTORY = Path(__file__).parents[1] / "golden"
TYPES = {short: url for url, short in types.SHORT_NAMES.items()}
OWN = "*"
"""Everything that a proxy gets without asking by name."""

Asked = Mapping[str, tuple[str, ...]]
"""Names by proxy."""

CASES: Mapping[str, Mapping[str, Asked]] = {
    "http-access": {
        "LDS whole": {
            "bookbuyer/bookbuyer": (OWN,),
            "bookstore/bookstore": ("inbound-listener.14001",),
        },
        "CDS": {
            "bookbuyer/bookbuyer": ("bookstore/bookstore|14001",),
            "bookstore/bookstore": (OWN,),
        },
        "EDS": {"bookbuyer/bookbuyer": ("bookstore/bookstore|14001",)},
        "RDS": {
            "bookbuyer/bookbuyer": ("rds-outbound.14001",),
            "bookstore/bookstore": ("rds-inbound.14001",),
        },
        "VHDS": {
            "bookbuyer/bookbuyer": (
                "rds-outbound.14001/bookstore.bookstore:14001",
                "rds-outbound.14001/bookstore",
            )
        },
    },
    "permissive": {
        "RDS": {"shop": ("rds-inbound.80",)},
        "ECDS": {"shop": ("tcp-access.5432",)},
        "RTDS": {"shop": ("access",)},
        "SDS": {"shop": ("tcp-callers.5432",)},
    },
    "split": {
        "VHDS": {
            "client": (
                "rds-outbound.80/shop",
                "rds-outbound.80/other",
                "rds-outbound.80/v1",
            )
        },
    },
    "tcp-access": {
        "LDS": {"db": (OWN,)},
        "CDS": {"client": ("10.1.0.1:5432", "10.9.9.9:5432"), "db": (OWN,)},
        "ECDS": {"db": ("tcp-access.5432",), "client": ("tcp-access.5432",)},
        "RTDS": {"db": ("access",)},
        "SDS": {"db": ("tcp-callers.5432",)},
    },
    "server-first": {"LDS": {"client": (OWN,), "mail": ("inbound-listener.25",)}},
    "headless": {
        "EDS": {
            "client": (
                "default/db|5432",
                "default/db-1.db|5432",
                "10.0.0.3:5432",
            )
        },
        "VHDS": {"client": ("rds-outbound.80/db", "rds-outbound.80/db-1.db")},
    },
    "grpc": {
        "CDS": {"api": (OWN,)},
        "RDS": {"api": ("rds-inbound.50051",)},
    },
    "explicit": {
        "LDS": {"client": (OWN,), "web": ("inbound-listener.80",)},
        "CDS": {"web": ("default/web|80|local",)},
        "VHDS": {"client": ("rds-outbound/web", "rds-outbound/web:80", "rds-outbound/web:81")},
    },
    "kubernetes": {
        "LDS": {"shop": (OWN,)},
        "EDS": {"client": ("default/shop|8080",)},
    },
    "ingress": {
        "LDS": {"shop": ("inbound-listener",)},
        "RDS": {"shop": ("rds-ingress.8080", "rds-ingress.8081")},
    },
    "egress": {
        "LDS": {"client": (OWN,), "open": (OWN,)},
        "CDS": {
            "client": ("httpbin.org:80", "443", "8080", "inner.example.com:8080", "gone.org:80"),
        },
        "RDS": {"client": ("rds-outbound.8080",)},
        "VHDS": {
            "client": (
                "rds-outbound.80/httpbin.org",
                "rds-outbound.80/web",
                "rds-outbound.8080/inner.example.com",
                "rds-outbound.8080/httpbin.org",
            ),
            "other": ("rds-outbound.80/httpbin.org",),
        },
    },
    "limits": {
        "CDS": {"client": ("default/shop|8080", "default/alias|8080")},
        "RDS": {"shop": ("rds-inbound.8080",)},
        "LDS whole": {"shop": (OWN,)},
    },
    "asked": {
        "LDS": {"servers": ("inbound-listener",)},
        "RDS": {"shop": ("rds-inbound.8080",), "servers": ("rds-inbound.9191",)},
        "CDS": {"shop": ("extension|limits.example.org|8081|h2|0",)},
    },
    "retry": {
        "VHDS": {"client": ("rds-outbound.80/shop",), "shop": ("rds-outbound.80/shop",)},
    },
    "observation": {
        "LDS told": {"shop": ("inbound-listener",), "otel": ("inbound-listener",)},
        "CDS": {"shop": ("extension|zipkin.test|9411|h1|0",)},
    },
    "two-ports": {
        "LDS": {"client": ("outbound-listener",), "shop": (OWN,)},
        "RDS": {"shop": ("rds-inbound.8080", "rds-inbound.81")},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_golden_resources_are_as_written(case: str, golden: Callable[[Path, str], None]) -> None:
    text = (DIRECTORY / case / "in.yaml").read_text()
    found = model(text)
    catalog = catalog_of(found)
    for kind, asked in CASES[case].items():
        short, _, whole = kind.partition(" ")
        tree: dict[str, dict[str, object]] = {}
        for workload, names in asked.items():
            who = proxy(found, workload)
            wanted = [
                name
                for given in names
                for name in (catalog.names(who, TYPES[short]) if given == OWN else (given,))
            ]
            for name in wanted:
                value = value_of(catalog, who, TYPES[short], name)
                message = build(value) if value is not None else None
                if message is None:
                    tree.setdefault(workload, {})[name] = "there is none"
                elif isinstance(message, listener_pb2.Listener) and whole != "whole":
                    shown = told(message) if whole == "told" else outline(message)
                    tree.setdefault(workload, {})[name] = shown
                else:
                    tree.setdefault(workload, {})[name] = as_tree(message)
        golden(DIRECTORY / case / f"{short}.yaml", as_yaml(tree))


def test_every_golden_file_belongs_to_a_case() -> None:
    wanted = {
        DIRECTORY / case / name
        for case, kinds in CASES.items()
        for name in ("in.yaml", *(f"{kind.partition(' ')[0]}.yaml" for kind in kinds))
    }
    assert {path for path in DIRECTORY.rglob("*") if path.is_file()} == wanted
