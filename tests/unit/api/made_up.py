"""Objects made up from a CRD's schema, right and wrong ones, from one number each.

Hypothesis draws the numbers; an object from its own strategies would take it milliseconds.
"""

import copy
import json
from collections.abc import Mapping
from random import Random
from typing import Any

from tests.unit.api.structural import wrong_values

Schema = Mapping[str, Any]

TEXTS = (
    "", "a", "bookstore", "a.b", "default", "osm-system", "bookstore.shop.svc.cluster.local",
    "httpbin.org", "*.example.com", "EXAMPLE.com.", "10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0",
    "127.0.0.0/8", "::/0", "10.1.2.3", "http", "https", "HTTP", "tcp", "tcp-server-first", "1s",
    "90s", "500ms", "0s", "-1s", "1h30m", "24h", "5m", "1d", "ServiceAccount", "Service", "IPRange",
    "AuthenticatedPrincipal", "HTTPRouteGroup", "TCPRoute", "UpstreamTrafficSetting",
    "specs.smi-spec.io/v1alpha4", "policy.openservicemesh.io/v1alpha1", "5xx", "5xx,reset",
    "gateway-error, nonsense", "%PROTOCOL%", "%REQ(a?b):5%", "100%", '{"a": "%DURATION%"}', '{"a":',
    ".*", "/a/[0-9]+", "(", "a{1000}", "(?!a)", "x-limited", "host", "a b", "a\r\nb: c", "\x00",
    "ü", "\ud800", "GET", "*", "500m", "1Gi", "second", "active", "TLSv1_2", "off", "eth0",
    "lo -j ACCEPT", "$(id)", "80;reboot", "h2c", "9" * 400, "x" * 5000, "a" * 64, "/api", "image:1",
)  # fmt: skip
LIKELY: Mapping[str, tuple[Any, ...]] = {
    "destination.kind": ("ServiceAccount",),
    "destination.namespace": ("default",),
    "sources.kind": ("ServiceAccount", "Service", "IPRange", "AuthenticatedPrincipal"),
    "rules.kind": ("HTTPRouteGroup", "TCPRoute"),
    "specs.kind": ("HTTPRouteGroup", "TCPRoute"),
    "matches.kind": ("HTTPRouteGroup", "HTTPRouteGroup", "UpstreamTrafficSetting"),
    "matches.apiGroup": ("specs.smi-spec.io/v1alpha4",),
    "name": ("a", "bookstore", "a.b", "x-limited"),
    "namespace": ("default", "default", "a"),
    "protocol": ("http", "https", "tcp"),
    "port.protocol": ("http", "https"),
    "backends.name": ("bookstore", "a"),
    "service": ("bookstore", "a"),
    "rules.matches": ("m",),
    "specs.matches": ("m",),
    "host": ("a.b", "bookstore.shop.svc.cluster.local", "10.1.2.3"),
    "hosts": ("a.b", "httpbin.org"),
    "retryOn": ("5xx", "5xx,reset"),
    "weight": (0, 1, 50, "500m", 0.5),
    "port": (80, 443),
    "number": (80, 443),
}
"""What mostly stands in a field, so that many objects are right as a whole."""
NUMBERS = (0, 1, -1, 80, 443, 429, 503, 65535, 65536, 70000, 2048, 2**31, 2**32 - 1, 2**32, 10**30)
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 10**30, "", "off", "x" * 5000, [],
    [None], [[]], {}, {"": None}, {"a": {"b": {}}}, [{"kind": 1}], {"name": "x", "namespace": 3},
)  # fmt: skip


class Maker:
    """Makes objects of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._fitting: dict[str, tuple[Any, ...]] = {}

    def right(self, random: Random) -> Any:
        """An object that the schema takes, most of the time."""
        return self._make(self.schema, random)

    def whole(self) -> Any:
        """An object with every field."""
        return self._make(self.schema, _Always(0))

    def wrong(self, random: Random) -> Any:
        """Such an object after up to four accidents."""
        value = copy.deepcopy(self._make(self.schema, random))
        for _ in range(random.randint(1, 4)):
            value = _broken(value, random)
        return value

    def _make(self, schema: Schema, random: Random, path: tuple[str, ...] = ()) -> Any:
        match schema.get("type"):
            case "object" if "properties" in schema:
                return self._make_object(schema, random, path)
            case "object":
                every = schema.get("additionalProperties", {})
                names = random.sample(("a", "app", "cpu", "x-a", "é"), random.randint(0, 2))
                return {name: self._make(every, random) for name in names}
            case "array":
                count = random.choice((1, schema.get("minItems", 0), 1, 2, 3))
                return [self._make(schema["items"], random, path) for _ in range(count)]
            case "boolean":
                return random.random() < 0.5
        likely = LIKELY.get(".".join(path[-2:]), LIKELY.get(path[-1], ()) if path else ())
        fitting = self._choices(schema)
        preferred = [value for value in likely if "enum" not in schema or value in fitting]
        return random.choice(preferred if preferred and random.random() < 0.9 else fitting)

    def _make_object(self, schema: Schema, random: Random, path: tuple[str, ...]) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        choices = [choice["required"][0] for choice in schema.get("oneOf", ())]
        if choices:
            required.add(random.choice(choices))
        return {
            name: self._make(member, random, (*path, name))
            for name, member in schema["properties"].items()
            if name in required or (name not in choices and random.random() < 0.6)
        }

    def _choices(self, schema: Schema) -> tuple[Any, ...]:
        """The values from above that the schema takes; its enum and default among them."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self._fitting:
            offered = [*schema.get("enum", ()), *TEXTS, *NUMBERS, 0.5]
            fitting = tuple(v for v in offered if not any(wrong_values(v, schema)))
            self._fitting[key] = fitting or ("",)
        return self._fitting[key]


class _Always(Random):
    """Chance that always takes the first of everything, and all of it."""

    def random(self) -> float:
        return 0.0


def _broken(value: Any, random: Random) -> Any:
    """The value with something deep inside replaced, dropped, renamed or doubled."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        name = random.choice(list(value))
        match random.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != name}
            case 1:
                return {k: v for k, v in value.items() if k != name} | {name + "s": value[name]}
            case 2:
                return value | {random.choice(("x", "spec", "Name", "\n")): random.choice(JUNK)}
            case _:
                return value | {name: _broken(value[name], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        index = random.randrange(len(value))
        if random.random() < 0.2:
            return value + [value[index]] * random.choice((1, 1, 1, 1200))
        return [*value[:index], _broken(value[index], random), *value[index + 1 :]]
    return random.choice((*JUNK, random.choice(TEXTS), random.choice(NUMBERS)))
